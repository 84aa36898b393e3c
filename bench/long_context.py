#!/usr/bin/env python3
"""A prompt of true length through LongRoPE: speed, memory, and agreement with transformers, for each kind of cache. Prints JSON.

    scripts/build release phial && bench/peers/install
    build/peers/st/bin/python bench/long_context.py [--tokens 100000] [--caches exact f16 q8 q4] [--json FILE]

The model is random, small in its layers and true in its lengths: trained for 4,096 positions, stretched to 131,072 by
factors a number. The reference is Phi3ForCausalLM in f32, which reads the prompt in blocks with a cache; it would choose
the factors anew for each block, so it is given the long ones for both lengths, which are those that the whole prompt
asks for. `difference` is the largest of any logit at any position, `rms` the root of the mean square, `spread` that of the
logits themselves; `last` holds the same over the last 1,024 positions, where every query sees the whole prompt.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
BLOCK = 1024
TRAINED, LONGEST = 4096, 131072


def make_model(folder, args):
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM
    torch.set_num_threads(args.threads)
    half = args.head_dim // 2
    torch.manual_seed(args.seed)
    long = (1 + 31 * torch.linspace(0, 1, half) ** 1.5).tolist()  # rises as the published ones do, from 1 to above 30
    config = Phi3Config(
        vocab_size=384, hidden_size=args.heads * args.head_dim, intermediate_size=2 * args.heads * args.head_dim,
        num_hidden_layers=args.layers, num_attention_heads=args.heads, num_key_value_heads=args.heads,
        max_position_embeddings=LONGEST, original_max_position_embeddings=TRAINED, rope_theta=10000.0, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, sliding_window=2 * LONGEST, tie_word_embeddings=False,
        rope_scaling={"type": "longrope", "short_factor": [1.0] * half, "long_factor": long})
    model = Phi3ForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.dim() == 2:
                tensor.normal_(0, 1.4 / tensor.shape[1] ** 0.5)
    model.save_pretrained(folder)
    # As Microsoft publishes it, not as this version of transformers writes it.
    stored = json.loads((folder / "config.json").read_text())
    stored.pop("rope_parameters", None)
    stored |= {"rope_theta": 10000.0, "original_max_position_embeddings": TRAINED,
               "rope_scaling": {"type": "longrope", "short_factor": [1.0] * half, "long_factor": long}}
    (folder / "config.json").write_text(json.dumps(stored))
    config.rope_parameters = dict(config.rope_parameters, short_factor=long)
    reference = Phi3ForCausalLM(config).float().eval()
    reference.load_state_dict(model.state_dict())
    return reference


def reference_logits(model, ids):
    import torch
    out, cache = [], None
    with torch.inference_mode():
        for at in range(0, len(ids), BLOCK):
            done = model(torch.tensor([ids[at:at + BLOCK]]), cache=cache, use_cache=True)
            cache = done.past_key_values
            out.append(done.logits[0].numpy())
            if sys.stderr.isatty():
                print(f"\rreference: {at + BLOCK} tokens", end="", file=sys.stderr)
    return np.concatenate(out)


def transformers_side(place, args, ids, answer):
    """In a process of its own: what it holds must not count as phial's."""
    model = make_model(place / "model", args)
    began = time.monotonic()
    logits = reference_logits(model, ids)
    answer.put({"seconds": round(time.monotonic() - began, 1),
                "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)})
    np.save(place / "wanted.npy", logits)


def phial_logits(args, model, ids, cache, out):
    words = ["--precision", "exact"] if cache == "exact" else ["--precision", "fast", "--kv", cache]
    command = [args.phial, "logits", "--model", model, "--ids", f"@{ids}", "--out", out,
               "--threads", str(args.threads), *words]
    began = time.monotonic()
    child = subprocess.Popen([str(word) for word in command])
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"long_context.py: error: phial logits --kv {cache} failed")
    return time.monotonic() - began, usage


def compare(place, first=0):
    """Some rows at a time, so that this process stays small."""
    found, wanted = (np.load(place / name, mmap_mode="r") for name in ("found.npy", "wanted.npy"))
    most, squares, same = 0.0, 0.0, 0
    for at in range(first, len(wanted), BLOCK):
        a, b = found[at:at + BLOCK].astype(np.float64), wanted[at:at + BLOCK].astype(np.float64)
        most = max(most, float(np.abs(a - b).max()))
        squares += float(((a - b) ** 2).sum())
        same += int((a.argmax(1) == b.argmax(1)).sum())
    rows = len(wanted) - first
    return {"difference": most, "rms": (squares / rows / wanted.shape[1]) ** 0.5, "greedy_the_same": same / rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=100000)
    parser.add_argument("--caches", nargs="+", default=["exact", "f16", "q8", "q4"], choices=["exact", "f16", "q8", "q4"])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--head-dim", type=int, default=48)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phial", default=str(ROOT / "build/release/bin/phial"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        ids = np.random.default_rng(args.seed).integers(3, 384, args.tokens).tolist()
        (place / "ids.txt").write_text(",".join(map(str, ids)))
        spawn = multiprocessing.get_context("spawn")
        answer = spawn.Queue()
        other = spawn.Process(target=transformers_side, args=(place, args, ids, answer))
        other.start()
        told = answer.get()
        other.join()
        spread = float(np.load(place / "wanted.npy", mmap_mode="r")[::97].std())
        report = {"tokens": args.tokens, "layers": args.layers, "heads": args.heads, "head_dim": args.head_dim,
                  "threads": args.threads, "spread": spread, "transformers": told}
        for cache in args.caches:
            seconds, usage = phial_logits(args, place / "model", place / "ids.txt", cache, place / "found.npy")
            report[cache] = {"seconds": round(seconds, 1), "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
                             "peak_rss_mb": round(usage.ru_maxrss / 1024), **compare(place),
                             "last": compare(place, max(0, args.tokens - BLOCK))}
            print(json.dumps({cache: report[cache]}), file=sys.stderr, flush=True)
    text = json.dumps(report, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
