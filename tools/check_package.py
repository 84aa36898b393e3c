#!/usr/bin/env python3
"""Answers a question over real documents with what scripts/package made for 64-bit ARM, within 2 GB of memory.

    scripts/package arm64
    tools/check_package.py build/packages/phial-0.1.0-arm64.tar.gz --models FOLDER

The tarball is unpacked and run under qemu's user-mode emulation, in a memory cgroup of --memory bytes, emulator included:
`phial add` reads Markdown, HTML, PDF and DOCX, `phial ask` must answer with a citation of the right file. Where cgroups
cannot be made (not root) the peak resident memory of each process is held to the same bound. FOLDER: the default models.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ("md/markitdown-readme.md", "html/sqlite-copyright.html", "pdf/google-doc.pdf", "docx/equations.docx")
QUESTION, FILE = "Is SQLite in the public domain?", "sqlite-copyright.html"
QEMU = ("qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu")


class MemoryCage:
    """A cgroup of version 2 or 1 with a limit; `path` is None where none can be made."""

    def __init__(self, limit: int) -> None:
        self.path = None
        for parent, maximum, self.peak in ((Path("/sys/fs/cgroup"), "memory.max", "memory.peak"),
                                           (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.max_usage_in_bytes")):
            path = parent / f"phial-{os.getpid()}"
            try:
                path.mkdir()
            except OSError:
                continue
            try:
                (path / maximum).write_text(str(limit))
                self.path = path
                return
            except OSError:
                path.rmdir()

    def enter(self) -> None:
        if self.path is not None:
            (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def peak_bytes(self) -> int:
        """The most at once, files that the kernel keeps in memory included; without a cage that of the largest process."""
        if self.path is not None:
            return int((self.path / self.peak).read_text())
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024

    def __enter__(self) -> "MemoryCage":
        return self

    def __exit__(self, *exception) -> None:
        if self.path is not None:
            self.path.rmdir()


def unpack(tarball: Path, folder: Path) -> Path:
    """The folder with the programs. phial starts phial-reader, which the kernel cannot run: a script stands in its place."""
    folder.mkdir()
    subprocess.run(["tar", "--extract", "--file", tarball, "--directory", folder], check=True)
    programs = next(folder.iterdir()) / "bin"
    (programs / "phial-reader").rename(programs / "phial-reader.arm64")
    (programs / "phial-reader").write_text(f'#!/bin/sh\nexec {" ".join(QEMU)} "$0.arm64" "$@"\n')
    (programs / "phial-reader").chmod(0o755)
    return programs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tarball", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--memory", type=int, default=2 * 10**9, help="bytes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, MemoryCage(args.memory) as cage:
        programs = unpack(args.tarball, Path(scratch) / "unpacked")
        home = Path(scratch) / "home"
        home.mkdir()
        (home / "models").symlink_to(args.models.resolve())

        def phial(*words: str) -> str:
            began = time.monotonic()
            done = subprocess.run([*QEMU, str(programs / "phial"), *words], stdout=subprocess.PIPE, text=True, preexec_fn=cage.enter,
                                  env={**os.environ, "PHIAL_HOME": str(home)})
            if done.returncode != 0:
                sys.exit(f"check_package.py: error: phial {words[0]} ended with {done.returncode}")
            print(f"phial {words[0]}: {time.monotonic() - began:.0f} s", file=sys.stderr)
            return done.stdout

        print(phial("--version").strip(), file=sys.stderr)
        added = json.loads(phial("add", "--json", "--no-ocr", *(str(ROOT / "testdata/docs" / name) for name in DOCS)))
        answer = json.loads(phial("ask", "--json", "--passage-tokens", "400", "-n", "48", QUESTION))
        peak = cage.peak_bytes()
    caged = "in a cgroup" if cage.path is not None else "of the largest process"
    cited = [Path(one["path"]).name for one in answer["citations"]]
    print(json.dumps({"added": added, "answer": answer["answer"], "mode": answer["mode"], "cited": cited, "peak_bytes": peak}, indent=1))
    print(f"check_package.py: {peak / 1e9:.2f} GB {caged}, {args.memory / 1e9:.2f} allowed", file=sys.stderr)
    if not answer["answerable"] or not answer["citations"][0]["path"].endswith(FILE) or peak > args.memory:
        sys.exit("check_package.py: error: no answer from the right file within the memory allowed")


if __name__ == "__main__":
    main()
