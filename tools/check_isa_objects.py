#!/usr/bin/env python3
"""Holds the ISA objects to their rule: each defines one symbol for the linker, its table, and no weak ones.

A weak symbol is an inline function that the compiler emitted: the linker keeps one copy for the whole program, and if
it keeps the one compiled for AVX-512 the program dies on a lesser machine.
"""

import argparse
import subprocess
import sys


def symbols(nm: str, path: str) -> list[tuple[str, str]]:
    """(kind, demangled name) of every symbol defined in the object."""
    out = subprocess.run([nm, "--defined-only", "-C", path], check=True, capture_output=True, text=True).stdout
    return [(line.split(None, 2)[1], line.split(None, 2)[2]) for line in out.splitlines() if line.strip()]


def faults(nm: str, table: str, path: str) -> list[str]:
    # What the sanitizers and the unwinder add is data that is the same in every object.
    found = [(kind, name) for kind, name in symbols(nm, path) if not name.startswith(("__odr_asan.", "DW.ref."))]
    weak = [name for kind, name in found if kind in "WwVvu"]
    exported = [name for kind, name in found if kind.isupper() and kind not in "WV"]
    wanted = f"phial::kernels::{table}"
    said = [f"{path}: weak symbol '{name}': give it internal linkage" for name in weak]
    said += [f"{path}: exports '{name}': only '{wanted}' may leave" for name in exported if name != wanted]
    if wanted not in exported:
        said.append(f"{path}: does not export '{wanted}'")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nm", default="nm")
    parser.add_argument("objects", nargs="+", metavar="TABLE=OBJECT")
    args = parser.parse_args()
    bad = []
    for pair in args.objects:
        table, path = pair.split("=", 1)
        bad += faults(args.nm, table, path)
    print("\n".join(bad) if bad else f"{len(args.objects)} ISA objects, each exports its table only")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
