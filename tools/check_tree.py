#!/usr/bin/env python3
"""Holds the tree to its bounds: under 45 MB in all, no path of somebody's own machine in what is committed."""

import re
import subprocess
import sys
from pathlib import Path

MAX_BYTES = 45_000_000
OWN_MACHINE = re.compile(rb"(?<![\w.~/-])/(home/[a-z][\w-]*|Users/\w+|work|root)/[\w.+-]+")
TEXT = {".cc", ".h", ".py", ".md", ".txt", ".cmake", ".json", ".sh", ".html", ""}


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True).stdout
    files = [root / name for name in listed.decode().split("\0") if name and (root / name).is_file()]
    said = []
    total = sum(path.stat().st_size for path in files)
    if total > MAX_BYTES:
        largest = sorted(files, key=lambda p: -p.stat().st_size)[:5]
        said.append(f"the tree has {total} bytes, at most {MAX_BYTES} are wanted; largest: {', '.join(map(str, largest))}")
    for path in files:
        name = path.relative_to(root).as_posix()
        if name.startswith("testdata/") or path.suffix not in TEXT:
            continue
        for found in OWN_MACHINE.finditer(path.read_bytes()):
            said.append(f"{name}: names a path of one machine: {found.group().decode()}")
    print("\n".join(said) if said else f"{len(files)} files, {total / 1e6:.1f} MB")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
