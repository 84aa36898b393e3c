"""A command whose words are shown, and whose failure ends the check with what it said."""

import shlex
import subprocess


def run(*words, **options):
    print("+", shlex.join(map(str, words)), flush=True)
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"it failed with {done.returncode}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
    return done.stdout
