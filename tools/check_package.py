#!/usr/bin/env python3
"""Unpacks what scripts/package made into an empty folder and answers questions over real documents with it.

    tools/check_package.py --models FOLDER build/packages/phial*

Markdown, HTML, PDF and DOCX are indexed; a question is answered in the documents' words alone, and again with the model
writing (what it writes may fail its check and be replaced by a quotation), both with a citation of the right file. All this must take less memory than --memory bytes: the peaks of all processes that live at
the same time are added up, the weights that they map included. FOLDER holds the default models.

Packages for another processor run under qemu's user-mode emulation, whose memory counts too. It has neither seccomp nor
Landlock: phial-reader warns there that it reads with limits alone.
"""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ("md/markitdown-readme.md", "html/sqlite-copyright.html", "pdf/google-doc.pdf", "docx/equations.docx")
QUESTION, FILE = "Is SQLite in the public domain?", "sqlite-copyright.html"
C_LIBRARY = re.compile(r"lib(c|m|dl|pthread|rt)\.so")


def fail(what: str) -> None:
    sys.exit(f"check_package.py: error: {what}")


def unpack(package: Path, folder: Path) -> Path:
    """The folder of the programs."""
    is_deb = package.suffix == ".deb"
    folder.mkdir()
    command = ["dpkg-deb", "--extract", package, folder] if is_deb else ["tar", "--extract", "--directory", folder, "--file", package]
    if subprocess.run(command).returncode != 0:
        fail(f"{package} cannot be unpacked: make it with scripts/package")
    return next(folder.glob("*/bin"))


def emulator_of(package: Path) -> list[str]:
    """What runs the package's programs, among the libraries that a .deb depends on; a tarball must bring its own."""
    if "arm64" not in package.name or platform.machine() == "aarch64":
        return []
    root = ROOT / "build/sysroot-arm64"
    if not root.is_dir() or not shutil.which("qemu-aarch64-static"):
        fail(f"{root} or qemu-aarch64-static is not there: scripts/package arm64 brings both")
    return ["qemu-aarch64-static", "-L", str(root)]


def check_libraries(programs: Path, emulator: list[str], may_be_elsewhere: bool) -> None:
    """phial-reader finds every library, and in the tarball its own ones but for those of the C library."""
    traced = subprocess.run([*emulator, programs / "phial-reader"], env={"LD_TRACE_LOADED_OBJECTS": "1"}, capture_output=True, text=True)
    found = dict(re.findall(r"(\S+) => (not found|/\S+)", traced.stdout))
    for name, path in found.items():
        is_beside = Path(path).resolve().is_relative_to(programs.parent.resolve())
        if path == "not found" or not (may_be_elsewhere or is_beside or C_LIBRARY.match(name)):
            fail(f"phial-reader needs {name}, found: {path}: scripts/package has to bring it")
    if not found:
        fail(f"phial-reader cannot be started: {traced.stderr.strip()}")


def peak_bytes(process: int) -> int:
    """The sum of the peaks, until now, of a process and of all beneath it: never less than what they hold together."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        children = [int(child) for task in Path(f"/proc/{process}/task").iterdir() for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return 0
    peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return (int(peak[1]) * 1024 if peak else 0) + sum(map(peak_bytes, children))


def run(command: list, home: Path) -> tuple[str, int, float]:
    """What it wrote, the most memory that it and its children had, and its seconds."""
    began, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as out:
        started = subprocess.Popen(command, stdout=out, env={"PHIAL_HOME": str(home)})
        while started.poll() is None:
            peak = max(peak, peak_bytes(started.pid))
            time.sleep(0.02)
        if started.returncode != 0:
            fail(f"'{' '.join(map(str, command))}' ended with {started.returncode}: its message stands above")
        out.seek(0)
        return out.read(), peak, time.monotonic() - began


def check(package: Path, models: Path, scratch: Path, memory: int) -> None:
    emulator = emulator_of(package)
    programs = unpack(package, scratch / "unpacked")
    check_libraries(programs, emulator, package.suffix == ".deb")
    if emulator:  # the kernel cannot run the reader when phial starts it: a script stands in its place
        reader = (programs / "phial-reader").rename(programs / "phial-reader.emulated")
        (programs / "phial-reader").write_text(f'#!/bin/sh\nexec {" ".join(emulator)} "{reader}" "$@"\n')
        (programs / "phial-reader").chmod(0o755)
    home = scratch / "home"
    home.mkdir()
    (home / "models").symlink_to(models.resolve())

    def phial(*words) -> dict:
        out, peak, seconds = run([*emulator, programs / "phial", *words], home)
        print(f"{package.name}: phial {words[0]}: {seconds:.0f} s, {peak / 1e6:.0f} MB", file=sys.stderr)
        if peak > memory:
            fail(f"{package.name}: phial {words[0]} took {peak} bytes of memory, {memory} are allowed: see phial {words[0]} --verbose")
        return json.loads(out)

    added = phial("add", "--json", "--no-ocr", *(ROOT / "testdata/docs" / name for name in DOCS))
    if added["added"] != len(DOCS):
        fail(f"{package.name}: {added['added']} of {len(DOCS)} documents were added: {json.dumps(added)}")
    for writes, words in ((False, ["--quote"]), (True, ["--passage-tokens", "400", "-n", "48"])):
        answer = phial("ask", "--json", *words, QUESTION)
        cited = [Path(citation["path"]).name for citation in answer["citations"]]
        if FILE not in cited[:1]:
            fail(f"{package.name}: wanted a citation of {FILE}, found those of {cited}")
        if (answer["tokens"]["generated"] > 0) != writes:  # whether or not its words pass the check
            fail(f"{package.name}: the model {'did not write' if writes else 'wrote'}: {json.dumps(answer['tokens'])}")
        print(f"{package.name}: {answer['mode']}: {answer['answer']}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, nargs="+")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--memory", type=int, default=2 * 10**9, help="bytes")
    args = parser.parse_args()
    for package in args.packages:
        with tempfile.TemporaryDirectory() as scratch:
            check(package, args.models, Path(scratch), args.memory)


if __name__ == "__main__":
    main()
