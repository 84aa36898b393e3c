#!/usr/bin/env python3
"""Does each model of the family load and answer within its memory plan, and how fast? Prints a table, or JSON.

    python3 bench/family.py [--context 1024] [--kv f16] [--gen 16] [--crops 16] [--json] MODEL ...

MODEL is a file or a folder: random weights of the true shapes serve (tools/random_phi3.py makes folders, tools/random_quantized.py
quantized files). A model is asked with as many tokens as fill the context but for the answer, by
`phial generate` on all cores without drafting; a model that sees is shown a square picture first, in --crops tiles (its num_crops).
`plan` is what `phial models show` says of that context, `peak` the most that the process held at once (ru_maxrss), `load` all seconds
but those of prompt and answer, `prompt` with the picture's encoding. Ends with status 1 if a peak is more than a twentieth away from its plan.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHIAL = ROOT / "build/release/bin/phial"


def shown(model: str) -> dict:
    return json.loads(subprocess.run([PHIAL, "models", "show", model, "--json"], stdout=subprocess.PIPE, check=True).stdout)


def answered(command: list) -> tuple[dict, int, float]:
    """What the command printed, the most memory it held, in bytes, and the seconds it took."""
    began = time.monotonic()
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit status {os.waitstatus_to_exitcode(status)}")
    return json.loads(out), usage.ru_maxrss * 1024, time.monotonic() - began


def write_png(path: Path, side: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    rows = b"".join(b"\0" + bytes((x * y) % 251 for x in range(3 * side)) for y in range(side))
    size = side.to_bytes(4, "big")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + size + b"\x08\x02\0\0\0") + chunk(b"IDAT", zlib.compress(rows)) +
                     chunk(b"IEND", b""))


def tokens_of_square_picture(crops: int) -> int:
    """Of the HD transform: the page is as many tiles wide as high, and is seen whole besides."""
    side = math.isqrt(crops)
    return (side * side + 1) * 144 + 1 + 12 * (side + 1)


def measured(model: str, args: argparse.Namespace, picture: Path) -> dict:
    card = shown(model)
    plan = next((row[f"bytes_{args.kv}"] for row in card["memory"] if row["context"] == args.context), None)
    if plan is None:
        sys.exit(f"{model}: 'phial models show' plans contexts of {[row['context'] for row in card['memory']]}")
    seen = [-1] * tokens_of_square_picture(args.crops) if card["sees"] else []
    if args.context <= args.gen + len(seen):
        sys.exit("--context must leave room for a prompt beside the --gen tokens of the answer" +
                 (f" and the {len(seen)} of a picture" if seen else ""))
    ids = ",".join(str(id) for id in seen + [i % card["vocabulary"] for i in range(args.context - args.gen - len(seen))])
    run, peak, seconds = answered([PHIAL, "generate", "--model", model, f"--ids={ids}", "-n", args.gen, "--greedy", "--ignore-end",
                                   "--draft", "off", *(["--image", picture] if seen else []),
                                   "--context", args.context, "--kv", args.kv, "--json"])
    times = run["timings"]
    return {"model": Path(model).name, "parameters": card["parameters"], "bytes": card["bytes"], "context": args.context,
            "kv": args.kv, "plan": plan, "peak": peak,
            "load_s": seconds - (times["prefill_ms"] + times["decode_ms"]) / 1000, "prefill_tps": times["prefill_tps"],
            "decode_tps": times["decode_tps"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--kv", default="f16", choices=("f16", "q8", "q4"))
    parser.add_argument("--gen", type=int, default=16)
    parser.add_argument("--crops", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        write_png(picture, 1344)
        rows = [measured(model, args, picture) for model in args.models]
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        print_table(rows)
    sys.exit(any(abs(row["peak"] / row["plan"] - 1) > 0.05 for row in rows))


def print_table(rows: list) -> None:
    print("| model | parameters | plan | peak | of the plan | load | prompt | answer |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row['model']} | {row['parameters'] / 1e9:.2f} billion | {row['plan'] / 1e9:.2f} GB | {row['peak'] / 1e9:.2f} GB | "
              f"{100 * row['peak'] / row['plan']:.1f} % | {row['load_s']:.1f} s | {row['prefill_tps']:.1f} tokens/s | "
              f"{row['decode_tps']:.2f} tokens/s |")


if __name__ == "__main__":
    main()
