#!/usr/bin/env python3
"""What quantizing costs: KL divergence to the unquantized model, how often the most likely token stays the same, and
perplexity, beside measured bits a weight, for each type, with and without calibration.

    python3 bench/quantizing.py --model NAME=PATH --calibrate TEXT --evaluate TEXT [--types Q8_0 Q4_0 ...] [--bits 3.76 ...] [--tokens 4096]
    python3 bench/quantizing.py ... --llama Q4_0 Q4_K_M IQ4_XS Q3_K_M --folder FOLDER     also llama.cpp's quantizer on the same file

Without --calibrate and --evaluate the model writes both texts itself, from other seeds: for models of a small world, such
as stories260K (tools/llama2c_to_gguf.py), of which no text is at hand. The two texts must differ: what a model is
calibrated on says nothing about it. Texts may be gzipped. Needs numpy. Prints a table; --json FILE keeps all figures.

`--llama` needs `make bench-peers`, a GGUF file and the Hugging Face folder that it comes from: over the same calibration text the
folder's inputs become llama.cpp's importance matrix (bench/peers/imatrix.py). Files of a type that llama.cpp knows are then read by
both programs, and `llama_perplexity` is what llama.cpp makes of them. Both quantizers' files are judged by the same exact decoder.

Everything runs in exact precision, so that the weights are all that differs. KL is the mean over positions, in nats, with
its 95 % interval; windows of 512 tokens that do not overlap, no BOS.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
WINDOW = 512
TYPES = ["Q8_0", "Q6_K", "Q5_K", "Q5_0", "Q4_K", "Q4_0", "phial_q4", "phial_q3"]


class Phial:
    def __init__(self, program: str, threads: int) -> None:
        self.program, self.threads = program, threads

    def __call__(self, *words: object) -> str:
        run = subprocess.run([self.program, *map(str, words), "--quiet"], capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"{' '.join(map(str, words))}: {run.stderr.strip()}")
        return run.stdout

    def logits(self, model: Path, ids: list[int], folder: Path) -> np.ndarray:
        listed, out = folder / "ids.txt", folder / "logits.npy"
        listed.write_text(",".join(map(str, ids)))
        self("logits", "--model", model, "--ids", f"@{listed}", "--out", out, "--threads", self.threads)
        return np.load(out).astype(np.float64)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def plain_text(path: Path, out: Path, limit: int | None = None) -> Path:
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    out.write_text(data[:limit].decode("utf-8", errors="ignore"), encoding="utf-8")
    return out


def own_text(phial: Phial, model: Path, seeds: range, out: Path) -> Path:
    """Stories of the model's own, at temperature 1."""
    words = ["--ids", "1", "-n", 400, "--temperature", 1, "--top-p", 1, "--top-k", 0, "--json", "--threads", phial.threads]
    texts = [json.loads(phial("generate", "--model", model, *words, "--seed", seed))["text"] for seed in seeds]
    out.write_text("\n".join(texts))
    return out


def measure(phial: Phial, model: Path, windows: list[list[int]], reference: list[np.ndarray], folder: Path) -> dict:
    divergences, same, losses = [], [], []
    for ids, base in zip(windows, reference):
        found = log_softmax(phial.logits(model, ids, folder))
        divergences.append((np.exp(base) * (base - found)).sum(axis=1))
        same.append(base.argmax(axis=1) == found.argmax(axis=1))
        losses.append(-found[np.arange(len(ids) - 1), ids[1:]])
    kl = np.concatenate(divergences)
    return {"kl": float(kl.mean()), "kl_interval": float(1.96 * kl.std() / len(kl) ** 0.5),
            "top1": float(np.concatenate(same).mean()), "perplexity": float(np.exp(np.concatenate(losses).mean()))}


def counted(tensors: list[dict]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in tensors:
        if len(one["shape"]) == 2:
            counts[one["type"]] = counts.get(one["type"], 0) + 1
    return counts


class Llama:
    """llama.cpp's quantizer and decoder, each in a process of its own."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    def run(self, python: str, script: str, *words: object) -> dict:
        command = [str(ROOT / "build/peers" / python / "bin/python"), str(ROOT / "bench/peers" / script), *map(str, words)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"{script}: {run.stderr.strip()[-500:]}")
        return json.loads(run.stdout.splitlines()[-1]) if run.stdout.strip() else {}

    def importance(self, ids: Path, out: Path) -> Path:
        self.run("st", "imatrix.py", self.args.folder, out, "--ids", f"@{ids}")
        return out

    def quantize(self, model: Path, out: Path, kind: str, importance: Path | None) -> dict:
        words = ["--imatrix", importance] if importance else []
        return self.run("llama", "quantize_llama.py", model, out, kind, "--threads", self.args.threads, *words)

    def perplexity(self, model: Path, ids: Path) -> float:
        return self.run("llama", "perplexity_llama.py", model, "--ids", f"@{ids}", "--threads", self.args.threads)["perplexity"]


KNOWN_TO_LLAMA = {"Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "Q4_K", "Q4_1", "Q4_0"}


def table(phial: Phial, model: Path, args: argparse.Namespace, folder: Path) -> list[dict]:
    if args.evaluate is None:
        calibrate = own_text(phial, model, range(1000, 1080), folder / "calibrate.txt")
        evaluate = own_text(phial, model, range(1, 31), folder / "evaluate.txt")
    else:
        calibrate = plain_text(args.calibrate, folder / "calibrate.txt", args.calibrate_bytes)
        evaluate = plain_text(args.evaluate, folder / "evaluate.txt")
    if calibrate.read_bytes() == evaluate.read_bytes():
        sys.exit("the calibration text is the evaluation text")
    ids = [int(one) for one in phial("tokenize", "--model", model, "-f", evaluate, "--ids").split()][:args.tokens]
    windows = [ids[at:at + WINDOW] for at in range(0, len(ids) - 1, WINDOW)]
    reference = [log_softmax(phial.logits(model, one, folder)) for one in windows]
    rows = [{"type": "unquantized", "calibrated": False, **measure(phial, model, windows, reference, folder)}]
    llama, out, evaluated = Llama(args), folder / "quantized.gguf", folder / "evaluate.ids"
    evaluated.write_text(",".join(map(str, ids)))

    def add(kind: str, calibrated: bool, report: dict) -> None:
        rows.append({"type": kind, "calibrated": calibrated, "bits_per_weight": report["bits_per_weight"],
                     "relative_error": report.get("relative_error"), "relative_output_error": report.get("relative_output_error"),
                     "matrices": counted(report["tensors"]), "bytes": report["bytes"],
                     **measure(phial, out, windows, reference, folder)})
        if args.llama and set(rows[-1]["matrices"]) <= KNOWN_TO_LLAMA:
            rows[-1]["llama_perplexity"] = llama.perplexity(out, evaluated)
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        out.unlink()

    targets = [(kind, ["--to", kind]) for kind in args.types] + [(f"{bits} bits", ["--bits", bits]) for bits in args.bits]
    for kind, target in targets:
        for calibrated in (False, True):
            words = ["--calibrate", calibrate] if calibrated else []
            add(kind, calibrated, json.loads(phial("quantize", model, out, *target, "--json", "--threads", args.threads, *words)))
    if args.llama:
        read = folder / "calibrate.ids"
        read.write_text(phial("tokenize", "--model", model, "-f", calibrate, "--ids"))
        importance = llama.importance(read, folder / "importance.npz")
        for kind in args.llama:
            for weighed in (None, importance):
                add(f"llama.cpp {kind}", weighed is not None, llama.quantize(model, out, kind, weighed))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--calibrate", type=Path)
    parser.add_argument("--calibrate-bytes", type=int, help="read only the beginning of that text")
    parser.add_argument("--evaluate", type=Path)
    parser.add_argument("--types", nargs="*", default=TYPES)
    parser.add_argument("--bits", nargs="+", type=float, default=[], help="budgets to measure after the types")
    parser.add_argument("--llama", nargs="+", default=[], metavar="TYPE", help="types that llama.cpp's quantizer makes")
    parser.add_argument("--folder", type=Path, help="the Hugging Face folder of the model, for --llama")
    parser.add_argument("--tokens", type=int, default=4096, help="of the evaluation text")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--phial", default=str(ROOT / "build/release/bin/phial"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if (args.calibrate is None) != (args.evaluate is None):
        parser.error("give both --calibrate and --evaluate, or neither")
    if args.llama and args.folder is None:
        parser.error("--llama needs --folder")

    phial, kept = Phial(args.phial, args.threads), {}
    for named in args.model:
        name, _, path = named.partition("=")
        with tempfile.TemporaryDirectory() as folder:
            kept[name] = table(phial, Path(path), args, Path(folder))
        print(f"\n{name}, {args.tokens} tokens at most\n\n| type | calibrated | bits a weight | KL to the unquantized | top-1 the same | perplexity | matrices |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for row in kept[name]:
            bits = f"{row['bits_per_weight']:.3f}" if "bits_per_weight" in row else ""
            matrices = ", ".join(f"{count} {kind}" for kind, count in row.get("matrices", {}).items())
            print(f"| {row['type']} | {'yes' if row['calibrated'] else ''} | {bits} | "
                  f"{row['kl']:.5f} ± {row['kl_interval']:.5f} | {100 * row['top1']:.2f} % | {row['perplexity']:.4f} | {matrices} |")
    if args.json:
        args.json.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
