#!/usr/bin/env python3
"""Compares what phial-reader makes of documents with other programs' text of them: pandoc for DOCX, EPUB, HTML and
Markdown, pdftotext for PDF, the file itself for text. Prints a table of word-multiset precision, recall and F1, and of
the share of the other program's pairs of neighbouring words that ours has too: reading order and glued words show there.

  tools/check_documents.py FOLDER [--reader build/release/bin/phial-reader] [--differences]
"""

import argparse
import collections
import json
import re
import subprocess
import time
import unicodedata
from pathlib import Path

PANDOC = {".docx": "docx", ".epub": "epub", ".html": "html", ".md": "gfm"}
WORD = re.compile(r"[^\W_]+", re.UNICODE)


HYPHEN = re.compile(r"(\w)[-\u2010\u00ad]\n(\w)")  # at the end of a line


def words(text: str) -> list[str]:
    return WORD.findall(HYPHEN.sub(r"\1\2", unicodedata.normalize("NFKC", text)).lower())


def oracle(path: Path) -> str | None:
    """The other program's text; None where there is no such program for this kind of file."""
    if path.suffix == ".pdf":
        run = subprocess.run(["pdftotext", "-nopgbrk", path, "-"], capture_output=True, text=True, errors="replace")
        return run.stdout if run.returncode == 0 else ""
    if path.suffix in PANDOC:
        run = subprocess.run(["pandoc", "-f", PANDOC[path.suffix], "-t", "plain", "--wrap=none", path],
                             capture_output=True, text=True, check=True)
        return run.stdout
    if path.suffix == ".txt":
        return path.read_text(encoding="utf-8", errors="replace")
    return None


def shares(ours: list, theirs: list) -> tuple[float, float]:
    common = sum((collections.Counter(ours) & collections.Counter(theirs)).values())
    return common / max(1, len(ours)), common / max(1, len(theirs))


def compare(ours: list[str], theirs: list[str]) -> tuple[float, float, float, float]:
    precision, recall = shares(ours, theirs)
    _, order = shares(list(zip(ours, ours[1:])), list(zip(theirs, theirs[1:])))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall), order


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("folder", type=Path)
    flags.add_argument("--reader", default="build/release/bin/phial-reader")
    flags.add_argument("--differences", action="store_true", help="print the words on one side only")
    chosen = flags.parse_args()
    print(f"{'file':44} {'words':>6} {'oracle':>6}  precision recall  F1     order  seconds")
    for path in sorted(p for p in chosen.folder.rglob("*") if p.is_file() and p.name != "SOURCE.md"):
        begun = time.monotonic()
        run = subprocess.run([chosen.reader, "--", path], capture_output=True, text=True)
        seconds = time.monotonic() - begun
        answer = json.loads(run.stdout)
        name = str(path.relative_to(chosen.folder))
        if "error" in answer:
            print(f"{name:44} {answer['error']['message']}")
            continue
        ours, other = words(answer["text"]), oracle(path)
        theirs = words(other) if other is not None else None
        if not theirs:
            print(f"{name:44} {len(ours):6} {'-':>6} {seconds:40.1f}")
            continue
        precision, recall, f1, order = compare(ours, theirs)
        print(f"{name:44} {len(ours):6} {len(theirs):6}  {precision:9.3f} {recall:6.3f}  {f1:.3f}  {order:.3f}  "
              f"{seconds:6.1f}")
        if chosen.differences:
            here, there = collections.Counter(ours), collections.Counter(theirs)
            print("    only here: ", " ".join(f"{w}*{n}" for w, n in (here - there).most_common(12)))
            print("    only there:", " ".join(f"{w}*{n}" for w, n in (there - here).most_common(12)))


if __name__ == "__main__":
    main()
