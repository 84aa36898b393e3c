#!/usr/bin/env python3
"""Decodes what `phial quantize` writes with the Python package gguf, and compares bit by bit with Phial's own decoding.

    build/peers/st/bin/python tools/check_quantized.py [--seed 1]

Needs numpy and gguf (bench/peers/install) and build/release/bin/phial. A random model of 256 and 512 columns goes through
every type; `phial models convert` tells what Phial makes of the blocks. Exit status 1 if a number differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TYPES = ["Q4_0", "Q4_K", "Q4_1", "Q5_0", "Q5_K", "Q5_1", "Q6_K", "Q8_0"]
# GGUF's names and those of a Hugging Face folder.
MATRICES = {"attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj", "ffn_up": "mlp.gate_up_proj",
            "ffn_down": "mlp.down_proj"}
NAMES = {"token_embd": "model.embed_tokens", "output": "lm_head",
         **{f"blk.{layer}.{name}": f"model.layers.{layer}.{other}" for layer in range(2) for name, other in MATRICES.items()}}


def write_random_model(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dim, ffn, heads, vocab, layers = 256, 512, 4, 96, 2
    shapes = {"token_embd": (vocab, dim), "output": (vocab, dim)}
    for layer in range(layers):
        shapes |= {f"blk.{layer}.attn_qkv": (3 * dim, dim), f"blk.{layer}.attn_output": (dim, dim),
                   f"blk.{layer}.ffn_up": (2 * ffn, dim), f"blk.{layer}.ffn_down": (dim, ffn)}
    writer = gguf.GGUFWriter(str(path), "phi3")
    for name, shape in shapes.items():
        scale = 10.0 ** rng.uniform(-4, 0)  # every matrix in another range
        writer.add_tensor(f"{name}.weight", (scale * rng.standard_t(5, shape)).astype(np.float32))
    norms = ["output_norm", *(f"blk.{layer}.{name}" for layer in range(layers) for name in ("attn_norm", "ffn_norm"))]
    for name in norms:
        writer.add_tensor(f"{name}.weight", rng.uniform(0.5, 2, dim).astype(np.float32))
    writer.add_context_length(128)
    writer.add_embedding_length(dim)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(dim // heads)
    writer.add_rope_scaling_orig_ctx_len(128)
    writer.add_sliding_window(0)
    writer.add_vocab_size(vocab)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    out = {}
    for name, told in json.loads(raw[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = told["data_offsets"]
            out[name] = np.frombuffer(raw[8 + size + begin:8 + size + end], "<f4").reshape(told["shape"])
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phial", default=str(ROOT / "build/release/bin/phial"))
    args = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_random_model(folder / "model.gguf", args.seed)
        for kind in TYPES:
            written, decoded = folder / f"{kind}.gguf", folder / kind
            subprocess.run([args.phial, "quantize", folder / "model.gguf", written, "--to", kind, "--json", "--quiet"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([args.phial, "models", "convert", written, decoded, "--quiet"], check=True)
            ours = read_safetensors(decoded / "model.safetensors")
            compared, differing, types = 0, 0, set()
            for tensor in gguf.GGUFReader(str(written)).tensors:
                name = tensor.name.removesuffix(".weight")
                if name not in NAMES:
                    continue
                theirs = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape[::-1])
                differing += int((theirs.view(np.uint32) != ours[NAMES[name] + ".weight"].view(np.uint32)).sum())
                compared += theirs.size
                types.add(tensor.tensor_type.name)
            wrong += differing
            print(f"{kind}: {compared} weights in {', '.join(sorted(types))}: {differing} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
