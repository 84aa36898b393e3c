#!/usr/bin/env python3
"""Indexing real text files with `phial add`, beside sentence-transformers embedding the same passages.

Phial's time is all of it: finding the files, reading each in its cage, cutting passages, word index, vectors, the
database. The peer's time is the embedding alone, of the passages that Phial made, taken back out of the library (without
the headings that Phial embeds with them), on the same number of threads, sorted by length as it likes. Rounds alternate; the ratio is taken inside each round.
By default the files are Debian's documentation on this machine (/usr/share/doc), the first 1,000 by name that are text.
"""

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENDINGS = {".txt", ".md", ".html", ".rst", ""}


def text_files(folder: Path, count: int) -> list[Path]:
    """The first `count` real text files by name, each content once."""
    found, seen = [], set()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.suffix.lower() not in ENDINGS:
            continue
        data = path.read_bytes()
        if not 200 <= len(data) <= 400_000 or b"\0" in data or hash(data) in seen:
            continue
        seen.add(hash(data))
        found.append(path)
        if len(found) == count:
            break
    return found


def run_phial(phial: str, corpus: Path, threads: int, home: Path, models: Path) -> tuple[float, dict]:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "models").symlink_to(models)
    start = time.perf_counter()
    done = subprocess.run([phial, "add", str(corpus), "--threads", str(threads), "--json", "--quiet"],
                          capture_output=True, text=True, env={**os.environ, "PHIAL_HOME": str(home)})
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"indexing.py: error: phial add failed: {done.stderr.strip()}")
    return seconds, json.loads(done.stdout)


def passages_of(home: Path) -> list[str]:
    with sqlite3.connect(home / "libraries/default.db") as db:
        return [text for (text,) in db.execute("SELECT text FROM passages")]


PEER = r"""
import json, sys, time
import torch
torch.set_num_threads(int(sys.argv[2]))
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], device="cpu")
passages = json.load(sys.stdin)
model.encode(passages[:32], batch_size=32)
start = time.perf_counter()
model.encode(passages, batch_size=32, normalize_embeddings=True)
print(time.perf_counter() - start)
"""


def run_peer(python: str, model: Path, passages: list[str], threads: int) -> float:
    done = subprocess.run([python, "-c", PEER, str(model), str(threads)], input=json.dumps(passages), capture_output=True,
                          text=True, env={**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"})
    if done.returncode != 0:
        sys.exit(f"indexing.py: error: sentence-transformers failed: {done.stderr.strip()[-500:]}")
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/usr/share/doc"))
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--phial", default=str(ROOT / "build/release/bin/phial"))
    parser.add_argument("--models", type=Path, default=ROOT / "build/home/models")
    parser.add_argument("--python-st", default=str(ROOT / "build/peers/st/bin/python"))
    args = parser.parse_args()

    files = text_files(args.folder, args.files)
    with tempfile.TemporaryDirectory() as scratch_name:
        scratch = Path(scratch_name)
        corpus = scratch / "corpus"
        corpus.mkdir()
        for number, path in enumerate(files):
            shutil.copyfile(path, corpus / f"{number:04d}-{path.name}{'' if path.suffix else '.txt'}")
        rounds = []
        for number in range(args.rounds):
            seconds, report = run_phial(args.phial, corpus, args.threads, scratch / "home", args.models.resolve())
            passages = passages_of(scratch / "home")
            peer = run_peer(args.python_st, args.models / "all-MiniLM-L6-v2", passages, args.threads)
            rounds.append({"phial_s": seconds, "peer_s": peer, "ratio": peer / seconds, "passages": len(passages),
                           "files": report["added"]})
            print(f"round {number + 1}: {rounds[-1]}", file=sys.stderr)
    print(json.dumps({"files": len(files), "threads": args.threads, "ratio": statistics.median(r["ratio"] for r in rounds),
                      "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
