#!/usr/bin/env python3
"""Tokenizing speed beside Hugging Face `tokenizers`: one thread each, in turns, best of several rounds, in processor
time; 10 MB as one text and as documents of 4 KB. Prints JSON.

    scripts/build release phial_tokenizer_probe
    python3 bench/tokenizing.py [--megabytes 10] [--rounds 3] [--models DIR] [--text FILE ...]

Needs the Python package `tokenizers` (and gguf). Without --text the text is what the machine has to read: documentation
under /usr/share, then this repository's own documents, repeated only if that is not enough.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

ROOT = Path(__file__).resolve().parent.parent
# This file has the name of the package that it measures; the package is the one to import.
sys.path[0] = str(ROOT / "tools")
import check_tokenizers as pipelines  # noqa: E402


def real_text(size, files):
    if not files:
        folders = [Path("/usr/share/doc"), Path("/usr/share/common-licenses"), Path("/usr/share/perl"), ROOT / "docs"]
        files = sorted(p for folder in folders if folder.exists() for p in folder.rglob("*")
                       if p.is_file() and p.suffix in {"", ".txt", ".md", ".pod", ".html", ".rst"})
    parts, have = [], 0
    for path in files:
        try:
            text = Path(path).read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            continue
        if "\0" in text:
            continue
        text = text[:400_000]  # no single file should be most of the text
        parts.append(text)
        have += len(text.encode())
        if have >= size:
            break
    if not parts:
        raise SystemExit("no text found: name some with --text")
    joined = "\n".join(parts)
    while len(joined.encode()) < size:
        joined += joined
    return joined.encode()[:size].decode(errors="ignore")


def documents_of(text, most_bytes):
    """Cut behind line ends, into documents of at most that many bytes."""
    data, documents = text.encode(), []
    while data:
        end = len(data)
        if most_bytes and end > most_bytes:
            end = data.rfind(b"\n", 0, most_bytes) + 1
            if end == 0:
                end = most_bytes
                while data[end] & 0xC0 == 0x80:
                    end -= 1
        documents.append(data[:end].decode())
        data = data[end:]
    return documents


def time_reference(tokenizer, documents):
    start = time.process_time()
    encodings = tokenizer.encode_batch_fast(documents, add_special_tokens=False)
    return time.process_time() - start, sum(len(e) for e in encodings)


def time_phial(model, source, most_bytes):
    done = subprocess.run([pipelines.PROBE, model, "--time", source, "1", str(most_bytes)], capture_output=True, check=True)
    answer = json.loads(done.stdout)
    return answer["seconds"][0], answer["tokens"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", type=Path, default=ROOT / "build/home/models")
    parser.add_argument("--text", type=Path, nargs="*")
    args = parser.parse_args()
    import tokenizers
    text = real_text(int(args.megabytes * 1e6), args.text)
    size = len(text.encode()) / 1e6
    wanted = {"gpt2", "smollm", "llama3", "wordpiece"}
    specs = [(n, s) for n, s in [*pipelines.byte_level_cases(), *pipelines.wordpiece_cases(args.models)] if n in wanted]
    specs.append(("llama-prepend", pipelines.llama_json(None)))
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "text"
        source.write_bytes(text.encode())
        for name, spec in specs:
            path = Path(temporary) / f"{name}.json"
            path.write_text(json.dumps(spec))
            reference = tokenizers.Tokenizer.from_file(str(path))
            for most_bytes in (0, 4096):
                documents = documents_of(text, most_bytes)
                ours, theirs = [], []
                for _ in range(args.rounds):
                    ours.append(time_phial(path, source, most_bytes))
                    theirs.append(time_reference(reference, documents))
                best, best_reference = min(ours)[0], min(theirs)[0]
                results.append({"tokenizer": name, "documents": len(documents), "tokens": ours[0][1],
                                "same_tokens": ours[0][1] == theirs[0][1], "phial_mb_per_s": round(size / best, 2),
                                "reference_mb_per_s": round(size / best_reference, 2),
                                "ratio": round(best_reference / best, 2)})
                print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"tokenizers": tokenizers.__version__, "threads": 1, "megabytes": size, "results": results}))


if __name__ == "__main__":
    main()
