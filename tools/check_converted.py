#!/usr/bin/env python3
"""Loads what `phial models convert` writes with transformers and llama.cpp, and compares logits (part of make soak).

    build/peers/st/bin/python tools/check_converted.py [--only TEXT] [--models 12] [--seed 1]

Needs what bench/peers/install puts into build/peers/st and build/peers/llama, and build/release/bin/phial. Each model,
a fixture or a random one by seed, goes three ways:

    folder -> GGUF            llama.cpp on the GGUF        against transformers on the folder
    folder -> GGUF -> folder  transformers on the last     against transformers on the first
    GGUF -> folder            transformers on the folder   against llama.cpp on the GGUF, where there is one

A model without a window of its own is asked across LongRoPE's border too. llama.cpp has no window for phi3 and chooses
LongRoPE's factors by the context that it is given: prompts are chosen so that both mean the same. Exit status 1 if
logits differ by more than the bounds below.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "testdata/golden"
TRANSFORMERS = 1e-4  # largest difference between two folders of the same weights: nothing but the order of sums
# Largest difference between two engines, as a share of the logits' spread: of weights in f32. llama.cpp rounds the
# inputs of products to the type of the weights; what that costs the reference, and as much again, is granted besides.
ENGINES = 2e-4
ROUNDING_FACTOR = 2
LLAMA_LEAST_CONTEXT = 256  # llama.cpp rounds contexts up to a multiple


def llama_logits(model, ids, context, out):
    """Runs in llama.cpp's own environment."""
    import llama_cpp
    llm = llama_cpp.Llama(model_path=str(model), n_ctx=context, n_batch=context, n_ubatch=context, logits_all=True,
                          type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32, flash_attn=False,
                          n_threads=2, verbose=False)
    llm.eval(ids)
    np.save(out, llm.scores[:len(ids)].astype(np.float32))


class Engines:
    def __init__(self, args, folder):
        self.phial_binary, self.llama_python, self.folder = args.phial, args.llama, folder

    def convert(self, source, target):
        done = subprocess.run([self.phial_binary, "models", "convert", source, target, "--quiet"], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return target

    def phial(self, model, ids):
        out = self.folder / "phial.npy"
        subprocess.run([self.phial_binary, "logits", "--model", model, "--ids", ",".join(map(str, ids)), "--out", out, "--quiet"], check=True)
        return np.load(out)

    def llama(self, model, ids, context):
        out = self.folder / "llama.npy"
        done = subprocess.run([self.llama_python, __file__, "--llama-logits", model, ",".join(map(str, ids)), str(context), out],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"llama.cpp refuses {Path(model).name}: {' '.join(done.stderr.split())[-300:]}")
        return np.load(out)

    def transformers(self, folder, prompts, inputs="float32"):
        """Logits of each prompt; the inputs of every product rounded to the type `inputs`."""
        import torch
        import transformers
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        model.eval()
        if inputs != "float32":
            for module in model.modules():
                if isinstance(module, torch.nn.Linear):
                    module.register_forward_pre_hook(lambda _, given: (given[0].to(getattr(torch, inputs)).float(),))
        with torch.no_grad():
            return [model(torch.tensor([ids]), use_cache=False).logits[0].float().numpy() for ids in prompts]


def prompts_of(config, seed):
    """Prompts, each with the context that llama.cpp is given, or None where it would mean something else."""
    rng = random.Random(seed)
    longest = config["max_position_embeddings"]
    window = min(config.get("sliding_window") or longest, longest)
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    original = config.get("original_max_position_embeddings") or longest
    if "long_factor" not in rope:
        asked = [(min(48, window), LLAMA_LEAST_CONTEXT)]
    else:
        is_short = original >= LLAMA_LEAST_CONTEXT
        asked = [(min(40, original, window), original // LLAMA_LEAST_CONTEXT * LLAMA_LEAST_CONTEXT if is_short else None)]
        if original < longest:
            length = min(original + 9, longest)
            asked.append((length, max(LLAMA_LEAST_CONTEXT, length + 1) if length <= window else None))
    return [([rng.randrange(min(3, config["vocab_size"] - 1), config["vocab_size"]) for _ in range(length)], context)
            for length, context in asked]


def share(found, wanted):
    """Largest difference, as a share of the logits' spread."""
    return float(np.abs(found - wanted).max() / wanted.std())


class Report:
    def __init__(self):
        self.rows, self.failures = [], 0

    def add(self, name, what, value, bound):
        is_wrong = not value <= bound
        self.failures += is_wrong
        self.rows.append((name, what, value))
        print(f"{name}: {what}: {value:.1e} of {bound:.0e}{'  FAILED' if is_wrong else ''}", flush=True)

    def fail(self, name, why):
        self.failures += 1
        print(f"{name}: FAILED: {why}", flush=True)


def compare_engines(engines, name, what, gguf, folder, prompts, report):
    """llama.cpp on the GGUF file and transformers on the folder, which hold the same weights."""
    prompts = [(ids, context) for ids, context in prompts if context]
    if not prompts:
        print(f"{name}: {what}: left out, llama.cpp would run another model")
        return
    dtype = json.loads((folder / "config.json").read_text()).get("torch_dtype") or "float32"
    every = [ids for ids, _ in prompts]
    wanted = engines.transformers(folder, every)
    rounded = max(map(share, engines.transformers(folder, every, dtype), wanted))
    found = [engines.llama(gguf, ids, context) for ids, context in prompts]
    report.add(name, f"{what} ({dtype})", max(map(share, found, wanted)), ENGINES + ROUNDING_FACTOR * rounded)


def check(engines, name, folder, seed, report, with_gguf=None):
    place = Path(tempfile.mkdtemp(dir=engines.folder))
    try:
        prompts = prompts_of(json.loads((folder / "config.json").read_text()), seed)
        every = [ids for ids, _ in prompts]
        there = engines.convert(folder, place / "there.gguf")
        back = engines.convert(there, place / "back")
        first, last = engines.transformers(folder, every), engines.transformers(back, every)
        report.add(name, "folder -> GGUF -> folder, transformers",
                   max(float(np.abs(a - b).max()) for a, b in zip(first, last)), TRANSFORMERS)
        compare_engines(engines, name, "folder -> GGUF, llama.cpp against transformers", there, back, prompts, report)
        if with_gguf:
            other = engines.convert(with_gguf, place / "other")
            compare_engines(engines, name, "GGUF -> folder, transformers against llama.cpp", with_gguf, other, prompts, report)
    except (RuntimeError, ValueError) as error:
        report.fail(name, error)
    finally:
        shutil.rmtree(place)


def as_f32(folder, out):
    """The same model with weights that no engine rounds the inputs to."""
    import torch
    import transformers
    transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).save_pretrained(out)
    for name in ("tokenizer.model", "tokenizer_config.json", "added_tokens.json", "tokenizer.json"):
        if (folder / name).exists():
            shutil.copy(folder / name, out / name)
    return out


def with_config(folder, out, **changed):
    out.mkdir()
    for file in folder.iterdir():
        if file.suffix != ".gguf" and not file.name.startswith("expected"):
            shutil.copy(file, out / file.name)
    config = json.loads((folder / "config.json").read_text()) | changed
    (out / "config.json").chmod(0o644)
    (out / "config.json").write_text(json.dumps(config))
    return out


def check_fixtures(engines, only, report):
    for name in ("phi3-mini-like", "phi3-medium-like", "phi3-128k-like", "phi3-partial", "llama-like", "llama-biased"):
        if only in name:
            has_tokenizer = (GOLDEN / name / "tokenizer.model").exists()  # without one llama.cpp refuses the fixture's GGUF
            check(engines, name, GOLDEN / name, 1, report, GOLDEN / name / "model.gguf" if has_tokenizer else None)
            check(engines, name + " in f32", as_f32(GOLDEN / name, engines.folder / f"{name}-f32"), 1, report)
    if only in "phi3-128k-like":  # both sets of factors
        long = with_config(GOLDEN / "phi3-128k-like", engines.folder / "phi3-128k", max_position_embeddings=1024,
                           original_max_position_embeddings=512)
        check(engines, "phi3-128k-like, border at 512", as_f32(long, engines.folder / "phi3-128k-f32"), 2, report)
    if only in "phi3-vision-like":  # transformers has no such model: its decoder against Phial's own logits
        seeing = engines.convert(GOLDEN / "phi3-vision-like", engines.folder / "seeing.gguf")
        ids = list(range(3, 60))
        report.add("phi3-vision-like", "the decoder's GGUF, llama.cpp against phial",
                   share(engines.llama(seeing, ids, 4096), engines.phial(seeing, ids)), ENGINES)


def check_smollm2(engines, gguf, only, report):
    """A real model: blocks of llama.cpp's own making become numbers, and those go there and back."""
    if only in "smollm2" and not gguf.exists():
        print(f"smollm2: left out, {gguf} is not there (scripts/models fetches it)")
    elif only in "smollm2":
        folder = engines.convert(gguf, engines.folder / "smollm2")
        check(engines, "smollm2", folder, 3, report)


def check_random(engines, args, report):
    import random_models as zoo
    for seed in range(args.seed, args.seed + args.models):
        spec = zoo.random_model(seed)
        if spec.family == "mistral" or args.only not in spec.name:
            continue  # GGUF calls it a llama, for which llama.cpp has no window
        folder = engines.folder / spec.name
        folder.mkdir()
        zoo.save_folder(spec, folder, seed)
        check(engines, spec.describe(), folder, seed, report)


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--llama-logits":
        model, ids, context, out = sys.argv[2:]
        llama_logits(model, [int(i) for i in ids.split(",")], int(context), out)
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=12, help="random ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="the models whose name contains this")
    parser.add_argument("--phial", type=Path, default=ROOT / "build/release/bin/phial")
    parser.add_argument("--llama", type=Path, default=ROOT / "build/peers/llama/bin/python")
    parser.add_argument("--smollm2", type=Path, default=ROOT / "build/home/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    args = parser.parse_args()
    import transformers
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    report = Report()
    with tempfile.TemporaryDirectory() as temporary:
        engines = Engines(args, Path(temporary))
        check_fixtures(engines, args.only, report)
        check_smollm2(engines, args.smollm2, args.only, report)
        check_random(engines, args, report)
    print(f"{len(report.rows)} comparisons, {report.failures} failures")
    return 1 if report.failures or not report.rows else 0


if __name__ == "__main__":
    sys.exit(main())
