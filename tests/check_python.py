#!/usr/bin/env python3
"""Installs a build, makes the wheel of the Python binding against it in a fresh environment, and drives it there. Ends
with 77, and the reason, where PyPI cannot be reached for what the wheel is built with."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from commands import run

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = 77


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    args = parser.parse_args()
    models = Path(os.environ["PHIAL_MODELS"]) if os.environ.get("PHIAL_MODELS") else None  # else the fixtures serve
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        for component in ("shared", "programs"):
            run("cmake", "--install", args.build, "--prefix", tmp / "prefix", "--component", component)
        run(sys.executable, "-m", "venv", tmp / "venv")
        python = tmp / "venv/bin/python"
        requires = subprocess.run([python, "-m", "pip", "download", "-q", "--no-deps", "-d", tmp / "sought",
                                   "scikit-build-core==1.1.2", "nanobind==3.1.0"], capture_output=True, text=True)
        if requires.returncode != 0:
            # An index that answers lists other versions: then what is pinned is wrong, and that is no reason to skip.
            if "from versions: none" not in requires.stderr:
                raise SystemExit(f"what python/pyproject.toml pins is not there:\n{requires.stderr[-2000:]}")
            print(f"skipped: PyPI gives no scikit-build-core and nanobind:\n{requires.stderr[-1000:]}")
            return SKIPPED
        environment = {**os.environ, "CMAKE_PREFIX_PATH": str(tmp / "prefix")}
        run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp / "wheel", ROOT / "python", env=environment)
        [wheel] = (tmp / "wheel").glob("phial-*.whl")
        run(python, "-m", "pip", "install", "-q", "--no-deps", wheel)
        # Nothing of the installed tree is needed any more: the wheel has it.
        (tmp / "prefix").rename(tmp / "gone")
        print(run(python, ROOT / "python/tests/test_phial.py", ROOT / "testdata", *([models] if models else []),
                  cwd=tmp))
    return 0


if __name__ == "__main__":
    sys.exit(main())
