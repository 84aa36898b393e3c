#!/usr/bin/env python3
"""What drafting is worth: `phial ask` over the sample documents with drafting and with `--draft off`; and free text, which
has nothing to copy. Prints JSON.

    scripts/build release phial phial-reader
    python3 bench/drafting.py --models FOLDER [--questions N] [--rounds N] [--threads T]

Each round runs one question both ways, in alternating order. A ratio is the decode time without drafts over that with
them, inside a round; a question's is the median of its rounds. Two are told: `ratio` of the clock (what follows the first
token, with the check of the answer's sentences), and `processor` of the processor time of the process, less that of a
run of one token; with --threads 1 the latter holds on a busy machine as well.
Both ways must give the same answer, or the run ends. An answer quotes if most of what
the model wrote stands in the passages that the search finds, in runs of eight words or more.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN_OF_WORDS = 8
TOKENS = 160
FREE_PROMPTS = ("Once upon a time", "The history of bread", "In the deep ocean", "A letter to my landlord:",
                "My grandmother always said", "Five things to do in Lisbon")


def words(text):
    return re.findall(r"\w+", text.lower())


def share_quoted(written, passages):
    """The share of `written`'s words that lie in a run of RUN_OF_WORDS that a passage holds."""
    known = set()
    for passage in passages:
        its = words(passage)
        known |= {tuple(its[i:i + RUN_OF_WORDS]) for i in range(len(its) - RUN_OF_WORDS + 1)}
    said = words(written)
    quoted = [False] * len(said)
    for i in range(len(said) - RUN_OF_WORDS + 1):
        if tuple(said[i:i + RUN_OF_WORDS]) in known:
            quoted[i:i + RUN_OF_WORDS] = [True] * RUN_OF_WORDS
    return sum(quoted) / max(1, len(said))


class Phial:
    def __init__(self, options, home):
        self.program, self.threads = options.build / "bin/phial", options.threads
        self.environment = {**os.environ, "PHIAL_HOME": str(home)}

    def run(self, *command):
        done = subprocess.run([self.program, *command], capture_output=True, text=True, env=self.environment)
        if done.returncode != 0:
            sys.exit(f"drafting.py: error: {' '.join(command)} failed: {done.stderr.strip()[-500:]}")
        return done.stdout

    def measure(self, command, draft, tokens):
        """What `command` tells of `tokens` tokens, and its processor seconds."""
        flags = ["--json", "--quiet", "--threads", str(self.threads), "-n", str(tokens)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = json.loads(self.run(*command, *flags, *([] if draft else ["--draft", "off"])))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return told, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def summary(ratios):
    if not ratios:
        return {"n": 0}
    return {"n": len(ratios), "median": round(statistics.median(ratios), 3), "least": round(min(ratios), 3),
            "most": round(max(ratios), 3)}


def both_ways(phial, command, rounds, answer_of):
    """The ratios of decode times, and the last run with drafts; None if nothing was decoded."""
    by_clock, by_processor, shown = [], [], None
    for number in range(rounds):
        order = (True, False) if number % 2 == 0 else (False, True)
        first_token = phial.measure(command, True, 1)[1]
        runs = {draft: phial.measure(command, draft, TOKENS) for draft in order}
        shown, plain = runs[True][0], runs[False][0]
        if answer_of(shown) != answer_of(plain):
            sys.exit(f"drafting.py: error: the answers differ: {command}")
        if shown["timings"]["decode_ms"] <= 0:
            return None, shown
        by_clock.append(plain["timings"]["decode_ms"] / shown["timings"]["decode_ms"])
        by_processor.append((runs[False][1] - first_token) / (runs[True][1] - first_token))
    return {"ratio": round(statistics.median(by_clock), 3), "processor": round(statistics.median(by_processor), 3)}, shown


def ask(phial, questions, rounds):
    rows = []
    for one in questions:
        ratio, run = both_ways(phial, ["ask", "--library", "drafting", "--explain", one["question"]], rounds,
                               lambda run: (run["answer"], run["explain"]["draft"]))
        if ratio is None:
            continue  # refused before anything was written
        found = phial.run("library", "search", "--library", "drafting", "--json", one["question"]).splitlines()
        rows.append({"id": one["id"], **ratio, "generated": run["tokens"]["generated"],
                     **run["explain"]["drafting"],
                     "quoted": round(share_quoted(run["explain"]["draft"], [json.loads(line)["text"] for line in found]), 2)})
        print(rows[-1], file=sys.stderr)
    return rows


def free_text(phial, rounds):
    rows = []
    for seed, prompt in enumerate(FREE_PROMPTS):
        command = ["generate", "-p", prompt, "--temperature", "1", "--top-p", "1", "--seed", str(seed),
                   "--ignore-end"]
        ratio, run = both_ways(phial, command, rounds, lambda run: run["ids"])
        rows.append({"prompt": prompt, **ratio, "generated": len(run["ids"]), **run["draft"]})
        print(rows[-1], file=sys.stderr)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="the folder with the default models")
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--questions", type=int, default=30, help="so many of testdata/ask/questions.jsonl, spread evenly")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    lines = (ROOT / "testdata/ask/questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [one for one in map(json.loads, lines) if one["answerable"]]
    questions = questions[::max(1, len(questions) // options.questions)][:options.questions]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "models").symlink_to(options.models.resolve())
        phial = Phial(options, home)
        free = free_text(phial, options.rounds)
        phial.run("add", "--quiet", "--library", "drafting", "--no-ocr", str(ROOT / "testdata/docs"))
        asked = ask(phial, questions, options.rounds)
    print(json.dumps({
        "threads": options.threads, "rounds": options.rounds,
        **{name: {key: summary([row[key] for row in rows]) for key in ("ratio", "processor")}
           for name, rows in (("ask", asked), ("ask_that_quotes", [row for row in asked if row["quoted"] > 0.5]),
                              ("free_text", free))},
        "answers": asked, "texts": free}, indent=1))


if __name__ == "__main__":
    main()
