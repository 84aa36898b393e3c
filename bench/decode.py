#!/usr/bin/env python3
"""Decode and prefill of `phial bench` beside llama.cpp on the same GGUF, in one interleaved run.

Each round measures both, in alternating order; a ratio is taken inside a round and the median over the rounds reported:
the memory bandwidth of a shared machine wanders, so figures of different minutes do not compare. llama.cpp runs through
llama-cpp-python (bench/peers/install builds it for this machine), in both attention modes; the faster one counts.
Weights are copied into memory on both sides, never mapped. Nothing else may run meanwhile, but for --busy N: N processes
that compute all the time, as on a machine that is used for other things.
"""

import argparse
import atexit
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def last_json(command: list[str]) -> dict:
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"decode.py: error: {' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return json.loads(lines[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--gen", type=int, default=32)
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--phial", default=str(ROOT / "build/release/bin/phial"))
    parser.add_argument("--python-llama", default=str(ROOT / "build/peers/llama/bin/python"))
    parser.add_argument("--llama-script", required=True, help="llama_cpp.py of the peers' folder")
    args = parser.parse_args()

    shape = ["--model", args.model, "--threads", str(args.threads), "--prompt", str(args.prompt), "--gen", str(args.gen)]
    phial = [args.phial, "bench", *shape, "--depth", str(args.depth), "--json"]
    llama = [args.python_llama, args.llama_script, *shape, "--depths", str(args.depth)]

    def best_llama() -> dict:
        runs = [last_json([*llama, "--flash", mode]) for mode in ("on", "off")]
        return {key: max(run[key] for run in runs) for key in ("prefill_tps", "decode_tps")}

    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(args.busy)]
    atexit.register(lambda: [process.kill() for process in busy])
    rounds = []
    for number in range(args.rounds):
        sides = [("phial", lambda: last_json(phial)), ("llama.cpp", best_llama)]
        found = {name: measure() for name, measure in (sides if number % 2 == 0 else sides[::-1])}
        rounds.append(found)
        print(f"round {number + 1}: " + ", ".join(
            f"{name} prefill {run['prefill_tps']:.2f} decode {run['decode_tps']:.2f}" for name, run in found.items()), file=sys.stderr)

    ratio = {key: statistics.median(r["phial"][key] / r["llama.cpp"][key] for r in rounds) for key in ("prefill_tps", "decode_tps")}
    print(json.dumps({"model": Path(args.model).name, "threads": args.threads, "prompt": args.prompt, "gen": args.gen,
                      "depth": args.depth, "busy": args.busy, "ratio": ratio, "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
