#!/usr/bin/env python3
"""What block-sparse attention saves: one layer of Phi-3-small at its true shape, dense beside block-sparse, one thread, f16.
Prints JSON.

    scripts/build release phial_model_bench
    python3 bench/block_sparse.py [--repetitions N] [--bench FILE ...]

`prompt` is a whole prompt in the decoder's chunks, `decode` one token behind the others. `ratio` is dense time over sparse time of
processor, medians of interleaved repetitions; `of_ceiling` is its part of what can be won: of a prompt, `ceiling` is all pairs of query
and key over those that heads read; of decoding, which is bound by memory, `byte_ceiling` is the whole cache over what is read of
it, and `ceiling` counts pairs, which four heads that share a key-value head read apart. `gops`: 1e9 operations a second of a prompt, a multiply-add
counted as two. Several --bench: programs of several versions, a repetition of each in turn, `ratio` by program.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "build/release/phial/model/phial_model_bench"


def measured(bench):
    """By label: the processor's milliseconds, and the counters."""
    command = [bench, "--benchmark_filter=^(prompt|decode)/", "--benchmark_format=json", "--benchmark_min_time=0.05"]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return {tuple(one["run_name"].split("/")[:3]): one for one in json.loads(run.stdout)["benchmarks"]}


def compared(runs, kind, depth):
    """Medians of several runs."""
    median = lambda way, what: statistics.median(run[kind, way, depth][what] for run in runs)
    dense, sparse = median("0", "cpu_time"), median("1", "cpu_time")
    row = {"tokens": int(depth), "dense_ms": round(dense, 3), "sparse_ms": round(sparse, 3), "ratio": round(dense / sparse, 2),
           "ceiling": round(1 / median("1", "kept"), 2)}
    kept = "kept"
    if kind == "decode":
        kept = "kept_bytes"
        row["byte_ceiling"] = round(1 / median("1", kept), 2)
    row["of_ceiling"] = round(dense / sparse * median("1", kept), 2)
    if kind == "prompt":
        row |= {"dense_gops": round(median("0", "GOPS"), 1), "sparse_gops": round(median("1", "GOPS"), 1)}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--bench", nargs="+", type=Path, default=[BENCH])
    args = parser.parse_args()
    runs = {bench: [] for bench in args.bench}
    for _ in range(args.repetitions):
        for bench in args.bench:
            runs[bench].append(measured(bench))
    out = {"repetitions": args.repetitions}
    for bench in args.bench:
        depths = sorted({depth for _, _, depth in runs[bench][0]}, key=int)
        rows = {kind: [compared(runs[bench], kind, depth) for depth in depths] for kind in ("prompt", "decode")}
        out |= rows if len(args.bench) == 1 else {bench.name: rows}
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
