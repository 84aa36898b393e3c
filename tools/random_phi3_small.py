#!/usr/bin/env python3
"""A Hugging Face folder of Phi-3-small's shape with random weights in half precision, for timing and memory: no model
of this family that could be shipped exists.

    python3 tools/random_phi3_small.py FOLDER [--layers 32] [--context 8192] [--vocab 100352] [--seed 1]

Needs numpy. The weights of a matrix are one block of random numbers repeated: they take no time to draw, and no kernel
looks at them twice. `phial models convert` and `phial quantize` make a GGUF file of it.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np

HIDDEN, FFN, HEADS, KV_HEADS, HEAD_DIM = 4096, 14336, 32, 8, 128


def tensors(layers: int, vocab: int):
    """(name, shape, mean) of every tensor; norms' gains have the mean 1."""
    yield "model.embed_tokens.weight", (vocab, HIDDEN), 0
    for i in range(layers):
        prefix = f"model.layers.{i}."
        qkv = (HEADS + 2 * KV_HEADS) * HEAD_DIM
        for name, rows, cols in (("self_attn.query_key_value", qkv, HIDDEN), ("self_attn.dense", HIDDEN, HIDDEN),
                                 ("mlp.up_proj", 2 * FFN, HIDDEN), ("mlp.down_proj", HIDDEN, FFN)):
            yield f"{prefix}{name}.weight", (rows, cols), 0
            yield f"{prefix}{name}.bias", (rows,), 0
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}{name}.weight", (HIDDEN,), 1
            yield f"{prefix}{name}.bias", (HIDDEN,), 0
    yield "model.final_layernorm.weight", (HIDDEN,), 1
    yield "model.final_layernorm.bias", (HIDDEN,), 0


def config(layers: int, vocab: int, context: int):
    dummies = [100256, 100258, 100259, 100260, 100264, 100265, *range(100267, 100352)]
    return {"architectures": ["Phi3SmallForCausalLM"], "model_type": "phi3small", "hidden_size": HIDDEN,
            "ff_intermediate_size": FFN, "num_hidden_layers": layers, "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS, "vocab_size": vocab, "max_position_embeddings": context,
            "hidden_act": "gegelu", "gegelu_limit": 20.0, "layer_norm_epsilon": 1e-5, "rope_embedding_base": 1000000,
            "rope_position_scale": 1.0, "mup_use_scaling": True, "mup_attn_multiplier": 1.0,
            "mup_embedding_multiplier": 10.0, "mup_width_multiplier": 8.0, "blocksparse_block_size": 64,
            "blocksparse_num_local_blocks": 16, "blocksparse_vert_stride": 8, "blocksparse_homo_head_pattern": False,
            "dense_attention_every_n_layers": 2, "dummy_token_indices": [i for i in dummies if i < vocab],
            "torch_dtype": "float16"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--vocab", type=int, default=100352)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / "config.json").write_text(json.dumps(config(args.layers, args.vocab, args.context), indent=1) + "\n")

    header, end = {}, 0
    for name, shape, _ in tensors(args.layers, args.vocab):
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    drawn = np.random.default_rng(args.seed).standard_normal(1 << 20) * 0.02
    with open(args.folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, mean in tensors(args.layers, args.vocab):
            left, block = int(np.prod(shape)), (drawn + mean).astype("<f2")
            while left > 0:
                file.write(block[:left].tobytes())
                left -= len(block)


if __name__ == "__main__":
    main()
