"""The files that the table of peers is measured on. What is missing in the folder is made, once."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VOCABULARY = ROOT / "testdata/tokenizers/ggml-vocabs/ggml-vocab-phi-3.gguf"
BITS = 4.25
WINDOW = 2047
LAYERS, ORT_LAYERS = 32, (4, 8)  # of Phi-3-mini, and those of it that ONNX Runtime GenAI gets


@dataclass(frozen=True)
class Files:
    weights: str        # what to say of them
    plain: Path         # the same file for Phial and llama.cpp
    small: Path         # Phial's, of at most BITS a weight
    peer_small: Path    # llama.cpp's nearest
    ort_work: Path      # holds the folders ort-int4-b32-LAYERS
    ort_layers: tuple[int, ...]  # one: the whole model
    layers: int
    windowed: Path | None = None  # `small` with a sliding window


def run(*command) -> None:
    print("table: " + " ".join(map(str, command)), file=sys.stderr)
    if subprocess.run([str(word) for word in command], stdout=sys.stderr).returncode != 0:
        sys.exit(f"table.py: error: {command[0]} failed, see above")


def once(target: Path, make) -> Path:
    """`make`(another path of the same kind), then put in place: what is there is whole."""
    if not target.exists():
        part = target.with_name(f"{target.stem}.part{target.suffix}")
        if part.is_dir():
            shutil.rmtree(part)
        part.unlink(missing_ok=True)
        make(part)
        part.rename(target)
    return target


def mini(args) -> Files:
    """Phi-3-mini at full size with random weights."""
    folder, peers = args.folder, Path(args.peers)

    def random(kind):
        return lambda target: run(args.python_llama, peers / "make_phi3_gguf.py", VOCABULARY, target, "--type", kind)

    plain = once(folder / "phi3-mini-q4_0.gguf", random("q4_0"))
    peer_small = once(folder / "phi3-mini-q4_k.gguf", random("q4_k"))  # Q4_K_M has Q6_K as well, and is larger

    # Quantizing numbers that are random anyway would take an hour. With all norms below 4.25 bits a weight.
    def random_phial(*flags):
        return lambda target: run(args.python_llama, ROOT / "tools/random_quantized.py", plain, target, "--layers", LAYERS,
                                  "--type", "phial_q4", "--head", "phial_q4", "--embedding", "phial_q3", *flags)

    small = once(folder / "phi3-mini-phial_q4.gguf", random_phial())
    windowed = once(folder / "phi3-mini-phial_q4-window.gguf", random_phial("--window", WINDOW))
    if args.python_ort:
        run(args.python_ort, peers / "ort_genai.py", "--work", args.ort_work, "--layers", ",".join(map(str, ORT_LAYERS)), "--build-only")
    return Files("Phi-3-mini at full size, random weights: answers go round in circles, which flatters drafting", plain, small,
                 peer_small, args.ort_work, ORT_LAYERS, LAYERS, windowed)


def smol(args) -> Files:
    plain, ort_work, layers = args.smol, args.folder / "smol-ort", 30
    small = once(args.folder / "smol-4.25.gguf", lambda target: run(args.phial, "quantize", plain, target, "--bits", BITS))
    if args.python_ort:
        once(ort_work / f"ort-int4-b32-{layers}", lambda target: build_ort(args, plain, target))
    return Files("SmolLM2-135M-Instruct", plain, small, plain, ort_work, (layers,), layers)


def build_ort(args, source: Path, target: Path) -> None:
    """By ONNX Runtime GenAI's own model builder, as ort_genai.py of the peers does."""
    folder = once(target.parent / "hf", lambda folder: run(args.phial, "models", "convert", source, folder))
    run(args.python_ort, "-m", "onnxruntime_genai.models.builder", "-i", folder, "-o", target, "-p", "int4", "-e", "cpu",
        "-c", target.parent / "cache", "--extra_options", "block_size=32", "accuracy_level=4")


MODELS = {"mini": mini, "smol": smol}
