"""GGUF files made from others: with a sliding window, or with random weights in Phial's own types, which the package gguf
refuses by their numbers. docs/formats.md describes the bytes."""

import math
import random
import shutil
import struct
from pathlib import Path

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # of GGUF's value types
UINT32, STRING, ARRAY = 4, 8, 9
ALIGNMENT = 32
F32 = 0
PHIAL_Q3, PHIAL_Q4 = 0x50480003, 0x50480004
BLOCK_BYTES = {PHIAL_Q3: 13, PHIAL_Q4: 17}  # of 32 weights; the first is the scale
SCALE = 5 << 3  # 2^-12 and up: weights around 0.01
HEAD_BYTES = 64 << 20  # more than key-value pairs and tensor names take


class Header:
    """What stands before the data of a GGUF file; `at` is the byte that comes next."""

    def __init__(self, file) -> None:
        self.data, self.at = file.read(HEAD_BYTES), 8
        n_tensors, self.n_pairs = self.take("<QQ")
        self.architecture, self.keys = "", []
        pairs_begin = self.at
        for _ in range(self.n_pairs):
            key, kind = self.string(), self.take("<I")[0]
            if key == "general.alignment":
                raise SystemExit("table.py: error: a file with an alignment of its own is not copied")
            self.keys.append(key)
            value = self.value(kind)
            if key == "general.architecture":
                self.architecture = value
        self.pairs = self.data[pairs_begin:self.at]
        self.tensors = [self.tensor() for _ in range(n_tensors)]  # (name, columns and rows, type, offset)
        self.data_begin = padded(self.at)

    def take(self, layout: str) -> tuple:
        found = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return found

    def string(self) -> str:
        length, = self.take("<Q")
        self.at += length
        return self.data[self.at - length:self.at].decode()

    def value(self, kind: int):
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            self.at += SIZES[kind]
            return None
        element, count = self.take("<IQ")
        if element in SIZES:
            self.at += SIZES[element] * count
        else:
            for _ in range(count):
                self.value(element)
        return None

    def tensor(self) -> tuple:
        name, n_dims = self.string(), self.take("<I")[0]
        return name, self.take(f"<{n_dims}Q"), *self.take("<IQ")


def padded(length: int) -> int:
    return -(-length // ALIGNMENT) * ALIGNMENT


def text(string: str) -> bytes:
    return struct.pack("<Q", len(string.encode())) + string.encode()


def write(target: Path, n_pairs: int, pairs: bytes, tensors: list, write_data) -> None:
    out = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), n_pairs) + pairs
    for name, dims, kind, offset in tensors:
        out += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
    with target.open("wb") as file:
        file.write(out.ljust(padded(len(out)), b"\0"))
        write_data(file)


def write_windowed(source: Path, target: Path, window: int) -> None:
    """A model of the same weights with a sliding window."""
    with source.open("rb") as file:
        header = Header(file)
        key = f"{header.architecture}.attention.sliding_window"
        if key in header.keys:
            raise SystemExit(f"table.py: error: {source}: has a sliding window already")
        pair = text(key) + struct.pack("<II", UINT32, window)
        file.seek(header.data_begin)
        write(target, header.n_pairs + 1, header.pairs + pair, header.tensors, lambda out: shutil.copyfileobj(file, out, 16 << 20))


def write_random_phial(source: Path, target: Path) -> None:
    """A model of the same shape whose matrices are random blocks of phial_q4, its embedding, of which a token reads one row,
    of phial_q3: with all norms below 4.25 bits a weight. Norms are ones."""
    with source.open("rb") as file:
        header = Header(file)
    tensors, sizes, at = [], [], 0
    for name, dims, _, _ in header.tensors:
        kind = F32 if len(dims) < 2 else PHIAL_Q3 if name == "token_embd.weight" else PHIAL_Q4
        sizes.append(4 * dims[0] if kind == F32 else math.prod(dims) // 32 * BLOCK_BYTES[kind])
        tensors.append((name, dims, kind, at))
        at += padded(sizes[-1])
    generator = random.Random(3)

    def blocks(kind: int) -> bytearray:
        count = 1 << 20
        made = bytearray(generator.randbytes(count * BLOCK_BYTES[kind]))
        made[::BLOCK_BYTES[kind]] = bytes(SCALE | byte & 0x87 for byte in generator.randbytes(count))
        return made

    pieces = {kind: blocks(kind) for kind in BLOCK_BYTES}

    def write_data(out) -> None:
        for (_, _, kind, _), size in zip(tensors, sizes):
            piece = pieces.get(kind) or struct.pack("<f", 1) * (size // 4)
            for done in range(0, size, len(piece)):
                out.write(piece[:size - done])
            out.write(b"\0" * (padded(size) - size))

    write(target, header.n_pairs, header.pairs, tensors, write_data)
