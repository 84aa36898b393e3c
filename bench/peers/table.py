#!/usr/bin/env python3
"""Phial beside llama.cpp and ONNX Runtime GenAI: every row of one table, in one run of alternating rounds.

    make bench-peers PHIAL_PEERS=FOLDER
    python3 bench/peers/table.py --peers FOLDER [--folder build/peers/models] [--rounds 5] [--rows mini.ask,smol] [--out FILE.json]

Each round measures every row, and each row every engine, in alternating order; memory, which does not wander, is looked at
in the first round alone. A ratio is taken inside a round (above 1: Phial is better) and medians over the rounds are
printed, with the settings that the engines were fastest with. Nothing else may run meanwhile. --peers: the folder with
llama_cpp.py, ort_genai.py and make_phi3_gguf.py; bench/peers/install has put the engines themselves under build/peers.
Models that --folder lacks are made once (Phi-3-mini at full size with random weights, 10 GB in all): speed and memory follow
from shapes, but answers of random weights go round in circles, which flatters drafting: there only the rows without drafting
count. ONNX Runtime GenAI is measured with 4 and 8 layers of Phi-3-mini and extrapolated to 32. A round takes about 10
minutes on two cores, the first one 20.
"""

import argparse
import json
import platform
import re
import statistics
import sys
import time
from pathlib import Path

from model_files import MODELS
from rows import FIGURES, LLAMA, ORT, PHIAL, ROOT, ROWS, SMOL_SHARE


def chosen(names: str) -> list:
    """[(model, row)]: all whose `model.row` begins with one of the names, in parts."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    every = [(model, row) for model in MODELS for row in ROWS]

    def fits(model, row) -> bool:
        return any(name in (model, row.name, f"{model}.{row.name}") for name in wanted)

    unknown = [name for name in wanted if not any(name in (model, row.name, f"{model}.{row.name}") for model, row in every)]
    if unknown:
        sys.exit(f"table.py: error: no row is called {unknown[0]}: {', '.join(f'{model}.{row.name}' for model, row in every)}")
    return [(model, row) for model, row in every if not wanted or fits(model, row)]


class Progress:
    """Tells which step runs and how long the rest will take: a guess first, then from what the steps took."""

    def __init__(self, steps: list[tuple[str, float]]) -> None:
        self.left, self.done = list(steps), 0.0
        self.began, self.count = time.monotonic(), len(steps)

    def begin(self) -> None:
        name, _ = self.left[0]
        passed = time.monotonic() - self.began
        pace = passed / self.done if self.done > 0 else 1.0
        minutes = pace * sum(seconds for _, seconds in self.left) / 60
        line = f"table: {self.count - len(self.left) + 1} of {self.count}, {name}; about {minutes:.0f} min left"
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        self.done += self.left.pop(0)[1]
        if not self.left and sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)


def measure(plan: list, n_rounds: int, rounds: list[dict], keep) -> None:
    """Appends {"mini.decode": {engine: {figure: value}}} a round to `rounds`, and calls `keep`() after each. What fails
    leaves there what the round had. `plan`: (name, row, {engine: measure}, seconds an engine)."""
    steps = []
    for number in range(n_rounds):
        for name, _, engines, seconds in of_round(plan, number):
            steps += [(f"round {number + 1}, {name}, {engine}", seconds) for engine in in_order(engines, number)]
    progress = Progress(steps)
    for number in range(n_rounds):
        rounds.append({})
        for name, _, engines, _ in of_round(plan, number):
            for engine in in_order(engines, number):
                progress.begin()
                rounds[-1].setdefault(name, {})[engine] = engines[engine]()
                progress.end()
        keep()


def of_round(plan: list, number: int) -> list:
    return [one for one in plan if number == 0 or not one[1].once]


def in_order(engines: dict, number: int) -> list[str]:
    return list(engines) if number % 2 == 0 else list(engines)[::-1]


def summary(plan: list, rounds: list[dict]) -> list[dict]:
    """One a figure, with medians and the medians of the ratios inside the rounds that have both."""
    out = []
    for name, row, engines, _ in plan:
        measured = [one.get(name, {}) for one in rounds]
        for figure in dict.fromkeys(figure for one in measured for figure in one.get(PHIAL, {})):
            line: dict = {"row": name, "figure": figure, "unit": row.unit}
            for engine in engines:
                both = [(one.get(PHIAL, {}).get(figure), one.get(engine, {}).get(figure)) for one in measured]
                mine = [one for _, one in both if one]
                if not mine:
                    continue
                line[engine] = {"median": statistics.median(one["value"] for one in mine),
                                "setting": " or ".join(dict.fromkeys(one["setting"] for one in mine))}
                limits = [one["of_limit"] for one in mine if one.get("of_limit")]
                if limits:
                    line[engine]["of_limit"] = statistics.median(limits)
                pairs = [(ours["value"], theirs["value"]) for ours, theirs in both if ours and theirs]
                if engine != PHIAL and pairs:
                    less = FIGURES[row.unit].less
                    line[engine]["ratio"] = statistics.median(theirs / ours if less else ours / theirs for ours, theirs in pairs)
            out.append(line)
    return out


def cell(found: dict | None, digits: int) -> str:
    if found is None:
        return ""
    ratio = f" (**{found['ratio']:.2f}**)" if "ratio" in found else ""
    limit = f", {found['of_limit']:.2f} of the limit" if "of_limit" in found else ""
    return f"{found['median']:.{digits}f}{ratio}{limit} [{found['setting']}]"


def print_table(lines: list[dict]) -> None:
    print(f"| row | figure | {PHIAL} | {LLAMA} | {ORT} |\n| --- | --- | --- | --- | --- |")
    for line in lines:
        digits = FIGURES[line["unit"]].digits
        cells = [cell(line.get(engine), digits) for engine in (PHIAL, LLAMA, ORT)]
        print(f"| {line['row']} | {line['figure']}, {line['unit']} | {' | '.join(cells)} |")


def processor() -> str:
    with open("/proc/cpuinfo", encoding="ascii") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())


def command(words: list[str]) -> str:
    """As it was given, but for the folders of this machine."""
    return " ".join(re.sub(r"(^|=)/.*/", r"\1", word) for word in words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="the folder with llama_cpp.py, ort_genai.py and make_phi3_gguf.py")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/peers/models", help="where the models are, or are made")
    parser.add_argument("--smol", type=Path, default=ROOT / "build/home/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--rows", default="", help="such as mini.ask, or decode,smol; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--gen", type=int, default=32)
    parser.add_argument("--depths", default="0,2048,4000")
    parser.add_argument("--kv", default="q8", help="types of Phial's cache; the fastest counts, answers are written with the first")
    parser.add_argument("--llama-modes", default="off/f16", help="flash attention and type of cache, likewise: off/f16,on/q8_0")
    parser.add_argument("--phial", default=str(ROOT / "build/release/bin/phial"))
    parser.add_argument("--python-llama", default=str(ROOT / "build/peers/llama/bin/python"))
    parser.add_argument("--python-ort", default=str(ROOT / "build/peers/ort/bin/python"), help="empty: without ONNX Runtime GenAI")
    parser.add_argument("--ort-work", type=Path, default=ROOT / "build/peers/ort-models", help="for its models, 8 GB")
    parser.add_argument("--out", type=Path, help="for the JSON, with every round; written after each, and when an engine fails")
    args = parser.parse_args()

    wanted = chosen(args.rows)
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
    files, plan = {}, []
    for model, row in wanted:
        if model not in files:
            files[model] = MODELS[model](args)
        engines = {engine: run for engine, run in row.make(files[model], args).items() if engine != ORT or args.python_ort}
        plan.append((f"{model}.{row.name}", row, engines, row.seconds * (SMOL_SHARE if model == "smol" else 1)))
    told = {"date": time.strftime("%Y-%m-%d"), "machine": processor(), "threads": args.threads,
            "weights": {model: one.weights for model, one in files.items()}, "command": command(sys.argv)}
    rounds: list[dict] = []

    def keep() -> None:
        if args.out and any(rounds):
            part = args.out.with_name(args.out.name + ".part")
            part.write_text(json.dumps({**told, "summary": summary(plan, rounds), "rounds": rounds}, indent=1) + "\n")
            part.replace(args.out)

    try:
        measure(plan, args.rounds, rounds, keep)
    finally:  # a peer that fails ends the run, but loses nothing
        keep()
        print_table(summary(plan, rounds))
    for model, one in files.items():
        print(f"{model}: {one.weights}")


if __name__ == "__main__":
    main()
