#!/usr/bin/env python3
"""Decode and prefill of `phial bench` beside llama.cpp and ONNX Runtime GenAI, in one interleaved run.

Each round measures all engines, in alternating order; ratios are taken inside a round and the median over the rounds is
reported: the memory bandwidth of a shared machine wanders, so figures of different minutes do not compare. Of several
settings of an engine (--kv, --llama-modes) the fastest counts, depth by depth. Weights are copied into memory, never
mapped. Nothing else may run meanwhile, but for --busy N: N processes that compute all the time, as on a machine that is
used for other things.

The peers' side is measured by the scripts of --peers: llama.cpp through llama-cpp-python on the same GGUF
(bench/peers/install builds it for this machine), and, with --python-ort, ONNX Runtime GenAI on random weights of
Phi-3-mini's shape, with 4 and 8 layers, extrapolated to 32 along a straight line (--ort-layers). They measure the prompt at the first
depth only, and so does what is compared.
"""

import argparse
import atexit
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ("prefill_tps", "decode_tps")


def json_lines(command: list[str]) -> list[dict]:
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"decode.py: error: {' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return lines


def fastest(runs: list[dict[int, dict]]) -> dict[int, dict]:
    """Of runs with other settings, {depth: figures}: the best of each figure, and the setting that it was reached with."""
    best: dict[int, dict] = {}
    for run in runs:
        for depth, row in run.items():
            for key in FIGURES:
                if (row.get(key) or 0) > best.setdefault(depth, {}).get(key, 0):
                    best[depth].update({key: row[key], key.replace("_tps", "_setting"): row["setting"]})
            if "decode_fraction" in row:
                best[depth]["decode_fraction"] = max(best[depth].get("decode_fraction", 0), row["decode_fraction"])
            for key in ("prefill_fraction", "peak_rss_bytes"):
                best[depth].setdefault(key, row.get(key))
    return best


class Engines:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.shape = ["--threads", str(args.threads), "--prompt", str(args.prompt), "--gen", str(args.gen)]
        self.model = ["--model", args.model]

    def phial(self) -> dict[int, dict]:
        runs = []
        for kv in self.args.kv.split(","):
            command = [self.args.phial, "bench", *self.model, *self.shape, "--kv", kv, "--depth", self.args.depths, "--json"]
            report = json_lines(command)[-1]
            runs.append({row["depth"]: {**row, "setting": kv, "peak_rss_bytes": report["peak_rss_bytes"]} for row in report["runs"]})
        return fastest(runs)

    def llama(self) -> dict[int, dict]:
        runs = []
        for mode in self.args.llama_modes.split(","):
            flash, kv = mode.split("/")
            rows = json_lines([self.args.python_llama, f"{self.args.peers}/llama_cpp.py", *self.model, *self.shape,
                               "--depths", self.args.depths, "--flash", flash, "--kv", kv])
            runs.append({row["depth"]: {**row, "setting": mode} for row in rows})
        return fastest(runs)

    def ort(self) -> dict[int, dict]:
        layers = self.args.ort_layers
        rows = json_lines([self.args.python_ort, f"{self.args.peers}/ort_genai.py", "--work", self.args.ort_work, *self.shape,
                           "--depths", self.args.depths, "--layers", layers])
        is_whole = "," not in layers
        return fastest([{row["depth"]: {**row, "setting": "f32"} for row in rows if is_whole or "extrapolated_from" in row}])


def median_of(values: list) -> float | None:
    known = [value for value in values if value]
    return round(statistics.median(known), 3) if known else None


def summary(rounds: list[dict]) -> list[dict]:
    rows = []
    for depth in sorted(rounds[0]["phial"]):
        row: dict = {"depth": depth}
        for engine in rounds[0]:
            mine = [r[engine].get(depth, {}) for r in rounds]
            row[engine] = {key: median_of([m.get(key) for m in mine])
                           for key in (*FIGURES, "prefill_fraction", "decode_fraction", "peak_rss_bytes")}
            if engine == "phial":
                continue
            for key in FIGURES:
                row[engine]["ratio_" + key] = median_of(
                    [r["phial"][depth][key] / r[engine][depth][key] for r in rounds if r[engine].get(depth, {}).get(key)])
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--gen", type=int, default=32)
    parser.add_argument("--depths", default="0", help="0,2048,4000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--kv", default="f16", help="types of Phial's cache, of which the fastest counts")
    parser.add_argument("--llama-modes", default="on/f16,off/f16", help="flash attention and type of cache")
    parser.add_argument("--phial", default=str(ROOT / "build/release/bin/phial"))
    parser.add_argument("--python-llama", default=str(ROOT / "build/peers/llama/bin/python"))
    parser.add_argument("--python-ort", help="compares with ONNX Runtime GenAI as well")
    parser.add_argument("--ort-work", default=str(ROOT / "build/peers/ort-models"), help="for its models, 8 GB")
    parser.add_argument("--ort-layers", default="4,8", help="layers that it is measured with; one number: the whole model")
    parser.add_argument("--peers", required=True, help="the folder with llama_cpp.py and ort_genai.py")
    args = parser.parse_args()

    engines = Engines(args)
    sides = [("phial", engines.phial), ("llama.cpp", engines.llama)]
    if args.python_ort:  # its models are made before anything is measured
        subprocess.run([args.python_ort, f"{args.peers}/ort_genai.py", "--work", args.ort_work, "--build-only"], check=True,
                       stdout=sys.stderr)
        sides.append(("ort-genai", engines.ort))

    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(args.busy)]
    atexit.register(lambda: [process.kill() for process in busy])
    rounds = []
    for number in range(args.rounds):
        rounds.append({name: measure() for name, measure in (sides if number % 2 == 0 else sides[::-1])})
        for name, found in rounds[-1].items():
            print(f"round {number + 1}, {name}: " + "; ".join(
                f"at {depth} " + ", ".join(f"{key[:-4]} {row[key]:.2f}" for key in FIGURES if row.get(key))
                for depth, row in found.items()), file=sys.stderr)

    print(json.dumps({"model": Path(args.model).name, "threads": args.threads, "prompt": args.prompt, "gen": args.gen,
                      "busy": args.busy, "summary": summary(rounds), "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
