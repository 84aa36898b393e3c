#!/usr/bin/env python3
"""Compares Phial's networks with transformers and sentence-transformers on random tiny models (part of make soak).

    build/peers/st/bin/python tools/check_models.py [--models 40] [--seed 1] [--only TEXT] [--keep DIR]

Needs what bench/peers/install puts into build/peers/st, and build/release/bin/phial. Decoders: logits of random prompts
on the exact path, greedy continuations against transformers' own generate(), and how far the fast path is off, as a
share of the logits' spread. Encoders: embeddings of texts, tokenization included. Exit status 1 if anything disagrees.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import random_models  # noqa: E402
ROOT = Path(__file__).resolve().parent.parent
EXACT = 1e-3  # largest difference of a logit, as the fixtures have it; f32 against f64 is 2e-5
# What the fast path may lose, as a share of the logits' spread: what the reference loses when the inputs of its products
# and its weights are rounded to 8 bits in blocks of 32, and half of it again. (A sharp attention turns small errors of
# scores into large ones of weights; no fixed bound would hold for it, and bfloat16 loses nearly as much there.)
FAST_FACTOR, FAST_FLOOR = 1.5, 0.01
COSINE = 0.99999
NEAR_TIE = 2e-3  # two best logits closer than this may be told apart by rounding


class Phial:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder

    def run(self, *arguments):
        done = subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True,
                              env={**os.environ, "PHIAL_HOME": str(self.folder)})
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"exit status {done.returncode}")
        return done.stdout

    def logits(self, model, ids, precision):
        import numpy as np
        out = self.folder / "logits.npy"
        self.run("logits", "--model", model, "--ids", ",".join(map(str, ids)), "--precision", precision, "--out", out)
        return np.load(out)

    def generate(self, model, ids, count):
        text = self.run("generate", "--model", model, "--ids", ",".join(map(str, ids)), "--greedy", "--json", "-n", count,
                        "--precision", "exact")
        return json.loads(text)["ids"]


def prompts(spec):
    """One token, a long one, and the lengths where something changes: the window, LongRoPE's original context."""
    longest = spec.config.max_position_embeddings - 13
    lengths = {1, min(longest, spec.rng.randrange(2, 80))}
    if spec.window:
        lengths.add(min(longest, spec.window + spec.rng.randrange(0, 40), 300))
    if spec.original_context:
        lengths |= {min(longest, spec.original_context + d) for d in (-5, 0, 9) if spec.original_context + d > 0}
    if spec.rng.random() < 0.3:
        lengths.add(min(longest, spec.rng.randrange(200, 400)))  # more than one chunk of the prompt
    lengths = {max(1, n) for n in lengths}
    return [[spec.rng.randrange(spec.config.vocab_size) for _ in range(n)] for n in sorted(lengths)]


class Totals:
    def __init__(self):
        self.exact, self.fast, self.cosine, self.runs, self.failures = 0.0, [], 1.0, 0, []

    def fail(self, what):
        self.failures.append(what)
        print(f"  FAILED {what}", flush=True)


def greedy_by_cache(model, ids, count):
    """transformers' generate(), and the logits of each step."""
    import torch
    done = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
                          max_new_tokens=count, return_dict_in_generate=True, output_logits=True)
    return done.sequences[0, len(ids):].tolist(), [row[0].float() for row in done.logits]


def greedy_from_scratch(model, ids, count):
    """The same, every step over the whole sequence: what generate() should be but is not where its cache is wrong (a
    window of one key)."""
    import torch
    sequence, rows = list(ids), []
    while len(rows) < count and (not rows or sequence[-1] != model.config.eos_token_id):
        with torch.no_grad():
            rows.append(model(torch.tensor([sequence]), use_cache=False).logits[0, -1].float())
        sequence.append(int(rows[-1].argmax()))
    return sequence[len(ids):], rows


def agree(ours, reference):
    """Equal, or parted where the two best logits are so close that rounding may choose."""
    import torch
    theirs, rows = reference
    if ours == theirs:
        return True
    parted = next((k for k, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    if parted >= len(rows) or len(rows[parted]) < 2:
        return False
    best = torch.topk(rows[parted], 2).values
    return float(best[0] - best[1]) < NEAR_TIE


def check_decoder(phial, spec, model, path, totals):
    import numpy as np
    import torch
    print(spec.describe(), flush=True)
    rounded, fast, coarse, spread = random_models.rounded_to_8_bits(model), 0.0, 0.0, 0.0
    for ids in prompts(spec):
        name = f"{spec.name}, {len(ids)} tokens"
        with torch.no_grad():
            wanted = model(torch.tensor([ids]), use_cache=False).logits[0].float().numpy()
        totals.runs += 1
        off = float(np.abs(phial.logits(path, ids, "exact") - wanted).max())
        totals.exact = max(totals.exact, off)
        if not off <= EXACT:
            totals.fail(f"{name}: exact logits are off by {off:.2e}")
        with torch.no_grad():
            coarse += float(((rounded(torch.tensor([ids]), use_cache=False).logits[0].numpy() - wanted) ** 2).sum())
        fast += float(((phial.logits(path, ids, "fast") - wanted) ** 2).sum())
        spread += float((wanted**2).sum())
        ours, reference = phial.generate(path, ids, 12), greedy_by_cache(model, ids, 12)
        if agree(ours, reference):
            continue
        slow = greedy_from_scratch(model, ids, 12)
        if agree(ours, slow):
            print(f"  {name}: transformers' generate() gives {reference[0]}, but from scratch {slow[0]}, as Phial does")
        else:
            totals.fail(f"{name}: greedy ids {ours}, transformers {slow[0]}")
    share, inherent = math.sqrt(fast / spread), math.sqrt(coarse / spread)
    totals.fast.append((share, inherent, spec.name))
    if not share <= FAST_FACTOR * inherent + FAST_FLOOR:
        totals.fail(f"{spec.name}: fast logits are off by {share:.3f} of their spread, rounding explains {inherent:.3f}")


def check_decoders(phial, args, totals):
    zoo = random_models
    for for_gguf in (False, True):
        for seed in range(args.seed, args.seed + args.models):
            spec = zoo.random_model(seed, for_gguf)
            if args.only and args.only not in spec.name:
                continue
            folder = (args.keep or phial.folder) / spec.name
            folder.mkdir(parents=True, exist_ok=True)
            try:
                if for_gguf:
                    path = folder / "model.gguf"
                    model = zoo.save_gguf(spec, path, folder, seed)
                else:
                    path = folder
                    model = zoo.save_folder(spec, folder, seed)
                check_decoder(phial, spec, model, path, totals)
            except RuntimeError as error:
                totals.fail(f"{spec.name}: {error}")


def check_embeddings(phial, name, folder, reference, texts, totals):
    import numpy as np
    lines, out = phial.folder / "lines.txt", phial.folder / "rows.npy"
    lines.write_text("".join(t + "\n" for t in texts), encoding="utf-8")
    phial.run("embed", "--model", folder, "-f", lines, "--out", out)
    ours, wanted = np.load(out), reference.encode(texts, normalize_embeddings=True, batch_size=16)
    cosines = (ours.astype(np.float64) * wanted).sum(axis=1)
    worst = int(cosines.argmin())
    totals.cosine = min(totals.cosine, float(cosines[worst]))
    print(f"{name}: {len(texts)} texts, smallest cosine {cosines[worst]:.7f}", flush=True)
    if ours.shape != wanted.shape or not cosines[worst] >= COSINE:
        totals.fail(f"{name}: {int((cosines < COSINE).sum())} texts differ, most {texts[worst]!r}")


def check_encoders(phial, args, totals):
    import random_encoders as zoo
    minilm = args.minilm
    if minilm.exists() and (not args.only or args.only in "encoder-minilm"):
        check_embeddings(phial, "encoder-minilm", minilm, zoo.open_encoder(minilm), zoo.texts(args.seed, 400), totals)
    for seed in range(args.seed, args.seed + args.encoders):
        if args.only and args.only not in f"encoder-{seed}-{zoo.KINDS[seed % 3]}":
            continue
        try:
            made = zoo.random_encoder(seed, (args.keep or phial.folder) / f"encoder-{seed}", minilm)
            if made:
                check_embeddings(phial, *made, zoo.texts(seed, 80), totals)
        except RuntimeError as error:
            totals.fail(f"encoder-{seed}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=40, help="decoders of each kind of file")
    parser.add_argument("--encoders", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="run only the models whose name contains this")
    parser.add_argument("--keep", type=Path, help="leave the models here")
    parser.add_argument("--minilm", type=Path, default=ROOT / "build/home/models/all-MiniLM-L6-v2")
    parser.add_argument("--phial", type=Path, default=ROOT / "build/release/bin/phial")
    args = parser.parse_args()
    import transformers
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    totals = Totals()
    with tempfile.TemporaryDirectory() as temporary:
        phial = Phial(args.phial, Path(temporary))
        check_decoders(phial, args, totals)
        check_encoders(phial, args, totals)
    fast = sorted(totals.fast, reverse=True)
    if fast:
        print(f"{totals.runs} prompts; exact: largest difference {totals.exact:.2e}; fast, share of the spread: median "
              f"{fast[len(fast) // 2][0]:.4f}, largest {fast[0][0]:.4f} ({fast[0][2]}, of which rounding explains {fast[0][1]:.4f})")
    print(f"embeddings: smallest cosine {totals.cosine:.7f}; {len(totals.failures)} disagreements")
    return 1 if totals.failures else 0


if __name__ == "__main__":
    sys.exit(main())
