#!/usr/bin/env python3
"""What block-sparse attention saves: one layer of Phi-3-small at its true shape, dense beside block-sparse, one thread.
Prints JSON.

    scripts/build release phial_model_bench
    python3 bench/block_sparse.py [--repetitions N]

`decode` is one query at the end of `depth` positions, `prefill` 32 of them. `ratio` is dense time over sparse time of
processor, medians of interleaved repetitions; `ceiling` is all blocks over those that a head reads; `of_ceiling` their
quotient. Decoding is bound by memory, and the four heads of a key-value head together read half of its far blocks: what can be
won there tends to 2, not to 8. A prompt's dense scores leave the caches, so leaving blocks out wins more than it skips.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "build/release/phial/model/phial_model_bench"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    args = parser.parse_args()
    command = [BENCH, "--benchmark_filter=^attention/", "--benchmark_format=json", "--benchmark_min_time=0.05",
               f"--benchmark_repetitions={args.repetitions}", "--benchmark_enable_random_interleaving=true"]
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    times, kept = {}, {}
    for one in json.loads(run.stdout)["benchmarks"]:
        if one["run_type"] != "iteration":
            continue
        _, sparse, queries, depth = one["run_name"].split("/")[:4]
        times.setdefault((sparse, queries, int(depth)), []).append(one["cpu_time"])
        kept[int(depth)] = one["kept"]
    out = {"repetitions": args.repetitions, "decode": [], "prefill": []}
    for name, queries in (("decode", "1"), ("prefill", "32")):
        for depth in sorted(kept):
            dense, sparse = (statistics.median(times[way, queries, depth]) for way in "01")
            out[name].append({"depth": depth, "dense_ms": round(dense, 3), "sparse_ms": round(sparse, 3),
                              "ratio": round(dense / sparse, 2), "ceiling": round(1 / kept[depth], 2),
                              "of_ceiling": round(dense / sparse * kept[depth], 2)})
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
