#!/usr/bin/env python3
"""Attention of training in one block-sparse layer of Phi-3-small at its true shape, 1k to 32k tokens: our kernels beside
torch's attention (causal, and with a mask) and torch's FlexAttention, compiled, over the same blocks. Prints JSON.

    scripts/build release phial_train_bench
    python3 bench/block_sparse_training.py [--tokens 1024,2048,...] [--rounds N] [--threads N]

Milliseconds, medians of rounds in which all ways take turns; `backward` is forwards and backwards together. Above 4,096
tokens 8 query and 2 key-value heads instead of 32 and 8, for time's sake. `kept` is the part of the blocks that a head
sees; `of_ceiling` the time of our own kernels over all blocks, times kept, over their time over the lists;
`of_torch_ceiling` the same from torch's causal attention. `ratio_*` is the other's time over ours. FlexAttention has no
backward on CPUs (torch 2.13), and takes no part with --no-flex.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "build/release/phial/train/phial_train_bench"
PYTHON = ROOT / "build/train-venv/bin/python"
WAYS = ["sparse", "all_blocks", "torch_causal", "torch_masked"]
BLOCK, LOCAL, STRIDE, WIDTH = 64, 16, 8, 128  # of Phi-3-small


def heads_at(tokens):
    return (32, 8) if tokens <= 4096 else (8, 2)


def flex_times(sizes, rounds, threads):
    """Runs where torch is: seconds of FlexAttention forwards, by number of tokens."""
    import torch
    from torch.nn.attention.flex_attention import BlockMask, flex_attention

    torch.set_num_threads(threads)
    attention = torch.compile(flex_attention, dynamic=False)

    def causal(batch, head, query, key):
        return key <= query

    def blocks_of(seen, n):
        counts = torch.tensor([[len(one) for one in head] for head in seen], dtype=torch.int32)
        index = torch.zeros(len(seen), n, n, dtype=torch.int32)
        for h, head in enumerate(seen):
            for q, one in enumerate(head):
                index[h, q, : len(one)] = torch.tensor(one, dtype=torch.int32)
        return counts[None], index[None]

    times = {}
    for tokens in sizes:
        heads, kv_heads = heads_at(tokens)
        n = tokens // BLOCK
        full = [[[k for k in range(q) if q - k < LOCAL or (k + h + 1) % STRIDE == 0] for q in range(n)] for h in range(heads)]
        partial = [[[q] for q in range(n)] for _ in range(heads)]
        mask = BlockMask.from_kv_blocks(*blocks_of(partial, n), *blocks_of(full, n), BLOCK_SIZE=BLOCK, mask_mod=causal)
        q, k, v = (torch.randn(1, count, tokens, WIDTH) for count in (heads, kv_heads, kv_heads))
        with torch.no_grad():
            for turn in range(rounds + 1):  # the first compiles
                start = time.perf_counter()
                attention(q, k, v, block_mask=mask, scale=1 / WIDTH, enable_gqa=True)
                if turn > 0:
                    times.setdefault(tokens, []).append(time.perf_counter() - start)
    return times


def our_times(tokens, rounds, threads, ways, types):
    command = [BENCH, f"--benchmark_filter=/[0-{ways - 1}]/./[0-{types - 1}]/{tokens}/", "--benchmark_format=json", "--benchmark_min_time=0.01",
               f"--benchmark_repetitions={rounds}", "--benchmark_enable_random_interleaving=true"]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                         env={"OMP_NUM_THREADS": str(threads)})
    times, kept = {}, 0
    for one in json.loads(run.stdout)["benchmarks"]:
        if one["run_type"] == "iteration":
            way, backward, bf16 = (int(n) for n in one["run_name"].split("/")[1:4])
            times.setdefault((WAYS[way], backward, bf16), []).append(one["real_time"])
            kept = one["kept"]
    return {key: statistics.median(all_of) for key, all_of in times.items()}, kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", default="1024,2048,4096,8192,16384,32768")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-mask", action="store_true", help="leave torch's attention with a mask out")
    parser.add_argument("--no-bf16", action="store_true")
    parser.add_argument("--no-flex", action="store_true")
    parser.add_argument("--flex-only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    sizes = [int(n) for n in args.tokens.split(",")]
    if args.flex_only:
        print(json.dumps(flex_times(sizes, args.rounds, args.threads)))
        return
    flex = {}
    if not args.no_flex:
        command = [PYTHON, __file__, "--flex-only", "--tokens", args.tokens, "--rounds", str(args.rounds), "--threads", str(args.threads)]
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        flex = {int(n): statistics.median(all_of) * 1e3 for n, all_of in json.loads(run.stdout).items()}
    out = []
    for tokens in sizes:
        times, kept = our_times(tokens, args.rounds, args.threads, len(WAYS) - args.no_mask, 2 - args.no_bf16)
        for bf16 in range(2 - args.no_bf16):
            for backward in (0, 1):
                ms = {way: times[way, backward, bf16] for way in WAYS if (way, backward, bf16) in times}
                if tokens in flex and not backward and not bf16:
                    ms["flex"] = flex[tokens]
                ours = ms["sparse"]
                row = {"tokens": tokens, "heads": heads_at(tokens)[0], "kept": round(kept, 4),
                       "type": "bf16" if bf16 else "f32", "pass": "backward" if backward else "forward"}
                row |= {f"{way}_ms": round(value, 1) for way, value in ms.items()}
                row |= {f"ratio_{way}": round(value / ours, 2) for way, value in ms.items() if way not in ("sparse", "all_blocks")}
                if "all_blocks" in ms:
                    row["of_ceiling"] = round(ms["all_blocks"] * kept / ours, 3)
                if "torch_causal" in ms:
                    row["of_torch_ceiling"] = round(ms["torch_causal"] * kept / ours, 3)
                out.append(row)
    print(json.dumps({"threads": args.threads, "rounds": args.rounds, "rows": out}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
