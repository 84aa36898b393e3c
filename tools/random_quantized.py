#!/usr/bin/env python3
"""A GGUF file of many layers in few bits out of one of few layers, without the time that quantizing takes: random weights, for
memory and speed at full size.

    python3 tools/random_phi3.py FOLDER --model small --layers 1
    phial models convert FOLDER one.gguf
    build/peers/st/bin/python tools/random_quantized.py one.gguf OUT.gguf --layers 32 [--type Q4_0] [--head Q6_K] [--embedding TYPE]
        [--window TOKENS] [--seed 1]

Layer i of OUT is layer i mod n of IN's n, but that every matrix is random blocks of --type, repeated until it is full, and what makes the
answer (the head, or an embedding that serves as one) of --head, as `phial quantize` chooses; an embedding that only looks rows up of
--embedding (else --type). --window adds a sliding window. Types are GGUF's and Phial's own (docs/formats.md). Needs the Python package
gguf (bench/peers/install).
"""

import argparse
import math
import re
from pathlib import Path

import gguf
import numpy as np

LAYER = re.compile(r"blk\.(\d+)\.(.+)")
EMBEDDING, HEAD = "token_embd.weight", "output.weight"
# Where a block keeps its scale, and one that makes weights of about 0.02.
SCALES = {"Q4_0": (0, 0.0045), "Q8_0": (0, 0.00027), "Q6_K": (208, 1.5e-5)}
# Phial's own, which the package does not know: number, bytes of 32 weights. The first byte is the scale.
PHIAL = {"phial_q3": (0x50480003, 13), "phial_q4": (0x50480004, 17)}
PHIAL_SCALE, PHIAL_SCALE_FREE_BITS = 5 << 3, 0x87  # 2^-12 and up: weights around 0.01
TYPES = (*SCALES, *PHIAL)


def block_of(kind) -> tuple[int, int, int]:
    """(number of the type, weights, bytes); `kind`: a name, or a type of the package."""
    if kind in PHIAL:
        return PHIAL[kind][0], 32, PHIAL[kind][1]
    known = gguf.GGMLQuantizationType[kind] if isinstance(kind, str) else kind
    return known, *gguf.GGML_QUANT_SIZES[known]


def random_blocks(kind: str, seed: int) -> np.ndarray:
    blocks = np.random.default_rng(seed).integers(0, 256, (1 << 14, block_of(kind)[2]), np.uint8)
    if kind in PHIAL:
        blocks[:, 0] = blocks[:, 0] & PHIAL_SCALE_FREE_BITS | PHIAL_SCALE
    else:
        at, scale = SCALES[kind]
        blocks[:, at:at + 2] = np.full((len(blocks), 1), scale, "<f2").view(np.uint8)
    return blocks.reshape(-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--type", choices=TYPES, default="Q4_0")
    parser.add_argument("--head", choices=TYPES, default="Q6_K")
    parser.add_argument("--embedding", choices=TYPES)
    parser.add_argument("--window", type=int)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    source = gguf.GGUFReader(args.source)
    architecture = source.fields["general.architecture"].contents()
    stored_layers = source.fields[f"{architecture}.block_count"].contents()

    writer = gguf.GGUFWriter(args.out, architecture)
    for name, field in source.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":  # of the file itself, which the writer adds
            continue
        value = args.layers if name == f"{architecture}.block_count" else field.contents()
        writer.add_key_value(name, value, field.types[0], field.types[-1] if len(field.types) > 1 else None)

    if args.window:
        window = gguf.Keys.Attention.SLIDING_WINDOW.format(arch=architecture)
        if window in source.fields:
            parser.error(f"{args.source} has a sliding window already")
        writer.add_uint32(window, args.window)

    named = [(LAYER.fullmatch(tensor.name), tensor) for tensor in source.tensors]
    out = [(tensor.name, tensor) for match, tensor in named if match is None]
    for i in range(args.layers):
        out += [(f"blk.{i}.{match[2]}", tensor) for match, tensor in named
                if match is not None and int(match[1]) == i % stored_layers]
    makes_answer = HEAD if any(name == HEAD for name, _ in out) else EMBEDDING
    chosen = {EMBEDDING: args.embedding or args.type, makes_answer: args.head}
    blocks = {kind: random_blocks(kind, args.seed) for kind in (args.type, *chosen.values())}
    kinds = [None if len(tensor.shape) < 2 else chosen.get(name, args.type) for name, tensor in out]
    sizes = []
    for (name, tensor), kind in zip(out, kinds):
        shape = [int(n) for n in reversed(tensor.shape)]
        stored_as, numbers, bytes_of_them = block_of(tensor.tensor_type if kind is None else kind)
        sizes.append(math.prod(shape) // numbers * bytes_of_them)
        writer.add_tensor_info(name, shape, np.dtype(np.float32), sizes[-1], stored_as)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for (_, tensor), kind, size in zip(out, kinds, sizes):
        writer.write_tensor_data(tensor.data if kind is None else np.resize(blocks[kind], size))
    writer.close()


if __name__ == "__main__":
    main()
