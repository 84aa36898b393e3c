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

On a CUDA device, in bf16, with all heads at every length:

    scripts/build cuda phial_train_bench
    python3 bench/block_sparse_training.py --device cuda [--flex-tokens 2048,...] [--autotune]

There FlexAttention has both passes and is given the same pattern, at its default block of 128 (which the kernels that it
has for this width want): pairs of blocks that are seen in part are asked for pair by pair. --autotune lets it choose its
kernels, which takes minutes. `tflops` counts products over kept blocks: 2 a pair forwards, 7 with gradients.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / "build/train-venv/bin/python"
WAYS = ["sparse", "all_blocks", "torch_causal", "torch_masked"]
DEVICE_WAYS = ["sparse", "all_blocks", "torch_causal"]
BLOCK, LOCAL, STRIDE, WIDTH = 64, 16, 8, 128  # of Phi-3-small
HEADS, KV_HEADS = 32, 8


def heads_at(tokens):
    return (HEADS, KV_HEADS) if tokens <= 4096 else (8, 2)


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


def device_mask(tokens):
    """The pattern for FlexAttention on a device, at its own size of block."""
    import torch
    from torch.nn.attention.flex_attention import BlockMask

    def visible(batch, head, query, key):
        near = query // BLOCK - key // BLOCK < LOCAL
        return (key <= query) & (near | ((key // BLOCK + head + 1) % STRIDE == 0))

    size = 128
    n = tokens // BLOCK
    query = torch.arange(n, device="cuda")[None, :, None]
    key = torch.arange(n, device="cuda")[None, None, :]
    head = torch.arange(HEADS, device="cuda")[:, None, None]
    seen = (key <= query) & ((query - key < LOCAL) | ((key + head + 1) % STRIDE == 0))
    parts = seen.view(HEADS, tokens // size, size // BLOCK, tokens // size, size // BLOCK)
    full = parts.all(4).all(2) & torch.ones(tokens // size, tokens // size, dtype=torch.bool, device="cuda").tril(-1)
    partial = parts.any(4).any(2) & ~full

    def ordered(blocks):
        return blocks.sum(2, dtype=torch.int32)[None], blocks.int().argsort(dim=2, descending=True, stable=True).int()[None].contiguous()

    return BlockMask.from_kv_blocks(*ordered(partial), *ordered(full), BLOCK_SIZE=size, mask_mod=visible)


def device_flex_times(sizes, rounds, autotune):
    """Runs where torch is: milliseconds of FlexAttention, by number of tokens: forwards, and with gradients."""
    import torch
    from torch.nn.attention.flex_attention import flex_attention

    attention = torch.compile(flex_attention, dynamic=False, mode="max-autotune-no-cudagraphs" if autotune else None)
    times = {}
    for tokens in sizes:
        torch._dynamo.reset()  # a length of its own is a program of its own, and their number is limited
        mask = device_mask(tokens)
        q, k, v, direction = (torch.randn(1, count, tokens, WIDTH, device="cuda", dtype=torch.bfloat16)
                              for count in (HEADS, KV_HEADS, KV_HEADS, HEADS))
        for backward in (0, 1):
            leaves = [x.requires_grad_(bool(backward)) for x in (q, k, v)]

            def one_pass():
                out = attention(*leaves, block_mask=mask, scale=1 / WIDTH, enable_gqa=True)
                if backward:
                    out.backward(direction)
                    for x in leaves:
                        x.grad = None

            found = []
            for turn in range(rounds + 2):  # the first compiles
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                begin.record()
                for _ in range(5):
                    one_pass()
                end.record()
                end.synchronize()
                if turn > 1:
                    found.append(begin.elapsed_time(end) / 5)
            times.setdefault(tokens, []).append(statistics.median(found))
    return times


def bench_times(bench, pattern, rounds, threads, least_s):
    command = [bench, f"--benchmark_filter={pattern}", "--benchmark_format=json", f"--benchmark_min_time={least_s}",
               f"--benchmark_repetitions={rounds}", "--benchmark_enable_random_interleaving=true"]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    return json.loads(run.stdout)["benchmarks"]


def device_rows(bench, sizes, rounds, threads, flex):
    times, kept, rates = {}, {}, {}
    for one in bench_times(bench, f"^device_attention/././({'|'.join(map(str, sizes))})/", rounds, threads, 0.05):
        if "error_message" in one:
            sys.exit(f"error: {one['error_message']}")
        if one["run_type"] == "iteration":
            way, backward, tokens = (int(n) for n in one["run_name"].split("/")[1:4])
            times.setdefault((tokens, backward, DEVICE_WAYS[way]), []).append(one["real_time"])
            kept[tokens] = one["kept"]
            rates.setdefault((tokens, backward, DEVICE_WAYS[way]), []).append(one["tflops"])
    for tokens in sizes:
        for backward in (0, 1):
            ms = {way: statistics.median(times[tokens, backward, way]) for way in DEVICE_WAYS}
            if tokens in flex:
                ms["flex"] = flex[tokens][backward]
            ours = ms["sparse"]
            row = {"tokens": tokens, "heads": HEADS, "kept": round(kept[tokens], 4), "type": "bf16", "pass": "backward" if backward else "forward"}
            row |= {f"{way}_ms": round(value, 3) for way, value in ms.items()}
            row |= {f"ratio_{way}": round(value / ours, 2) for way, value in ms.items() if way not in ("sparse", "all_blocks")}
            row["of_ceiling"] = round(ms["all_blocks"] * kept[tokens] / ours, 3)
            row["of_torch_ceiling"] = round(ms["torch_causal"] * kept[tokens] / ours, 3)
            row["tflops"] = {way: round(statistics.median(rates[tokens, backward, way])) for way in DEVICE_WAYS}
            yield row


def our_times(bench, tokens, rounds, threads, ways, types):
    times, kept = {}, 0
    pattern = f"^training_attention/[0-{ways - 1}]/./[0-{types - 1}]/{tokens}/"
    for one in bench_times(bench, pattern, rounds, threads, 0.01):
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
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--flex-tokens", help="with --device cuda: lengths at which FlexAttention takes part, all by default")
    parser.add_argument("--autotune", action="store_true", help="with --device cuda: FlexAttention chooses its kernels")
    parser.add_argument("--bench", help="phial_train_bench, by default of the build for the device")
    parser.add_argument("--flex-only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    sizes = [int(n) for n in args.tokens.split(",")]
    bench = args.bench or ROOT / "build" / ("cuda" if args.device == "cuda" else "release") / "phial/train/phial_train_bench"
    if args.device == "cuda":
        flex = {}
        if not args.no_flex:  # in this process, whose python must have a torch with CUDA
            flex = device_flex_times([int(n) for n in (args.flex_tokens or args.tokens).split(",") if n], args.rounds, args.autotune)
        rows = list(device_rows(bench, sizes, args.rounds, args.threads, flex))
        print(json.dumps({"rounds": args.rounds, "rows": rows}, indent=1))
        return
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
        times, kept = our_times(bench, tokens, args.rounds, args.threads, len(WAYS) - args.no_mask, 2 - args.no_bf16)
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
