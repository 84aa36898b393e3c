#!/usr/bin/env python3
"""How long a search takes as a library grows. Prints JSON.

    scripts/build release phial_rag_probe
    python3 bench/latency.py --data FOLDER [--passages 1000 10000 100000] [--work FOLDER]

`--data` holds scifact/ and cranfield/ as for bench/retrieval.py. Their sentences, drawn anew, make documents of fifty sections,
each about a passage long; each section has a word of its own besides, since the words of a library grow with it.
Vectors are hashed words of MiniLM's width: the time that a model takes for the question (which does not grow) is not in it.
Questions are claims of SciFact, the same with a word that no document has, and words that one document has. Each is asked
twice and the second time counts, as in a chat. Libraries are kept in `--work`.
"""

import argparse
import json
import random
import sqlite3
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EMBEDDER = "hashed:384"
SECTIONS = 50  # of a document


def rows(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_corpus(data, passages, path):
    sentences = [one.strip() for name in ("scifact", "cranfield") for row in rows(data / name / "corpus.jsonl")
                 for one in row["text"].split(". ") if len(one) > 40]
    draw = random.Random(1)
    with open(path, "w", encoding="utf-8") as file:
        for first in range(0, passages, SECTIONS):
            sections = [". ".join(draw.sample(sentences, 7)) + f". It is kept as {own_word(i)}."
                        for i in range(first, min(first + SECTIONS, passages))]
            file.write(json.dumps({"_id": str(first), "title": "", "text": "\n\n".join(sections)}) + "\n")


def own_word(i):
    return f"q{i * 2654435761 % 2**32:08x}"


def write_questions(data, passages, kind, path):
    claims = [row["text"] for row in rows(data / "scifact" / "queries.dev.jsonl")][:100]
    if kind == "unknown word":
        claims = [f"{claim} zzyzx{i}" for i, claim in enumerate(claims)]
    if kind == "rare word":
        claims = [f"What is kept as {own_word(i * passages // 100)}?" for i in range(100)]
    path.write_text("".join(json.dumps({"_id": str(i), "text": text}) + "\n" for i, text in enumerate(claims)), encoding="utf-8")


def milliseconds(probe, library, questions):
    run = subprocess.run([probe, EMBEDDER, library, "time", questions], capture_output=True, text=True, check=True)
    return sorted(json.loads(line)["ms"] for line in run.stdout.splitlines())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--passages", type=int, nargs="+", default=[1000, 10000, 100000])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--probe", default=str(ROOT / "build/release/bench/phial_rag_probe"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        found = []
        for passages in args.passages:
            corpus, library, questions = work / f"{passages}.jsonl", work / f"{passages}.db", work / "questions.jsonl"
            write_corpus(args.data, passages, corpus)
            subprocess.run([args.probe, EMBEDDER, library, "index", corpus], check=True)
            with sqlite3.connect(library) as database:
                stored = database.execute("SELECT count(*) FROM passages").fetchone()[0]
            row = {"passages": stored, "library_bytes": library.stat().st_size}
            for kind in ("claim", "unknown word", "rare word"):
                write_questions(args.data, passages, kind, questions)
                times = milliseconds(args.probe, library, questions)
                row[kind] = {"median_ms": round(statistics.median(times), 2), "p95_ms": round(times[len(times) * 95 // 100], 2)}
            found.append(row)
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
