#!/usr/bin/env python3
"""A Hugging Face folder of the shape of Phi-3-small or Phi-3-vision with random weights in half precision, for timing and memory: no
model of these that could be shipped exists.

    python3 tools/random_phi3.py FOLDER [--model small|vision] [--layers 32] [--context 8192] [--seed 1]

Needs numpy. The weights of a matrix are one block of random numbers repeated: they take no time to draw, and no kernel
looks at them twice. `phial models convert` and `phial quantize` make a GGUF file of it.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np

HEADS, SMALL_VOCABULARY = 32, 100352


def with_bias(name: str, rows: int, cols: int, mean: int = 0):
    yield f"{name}.weight", (rows, cols) if cols else (rows,), mean
    yield f"{name}.bias", (rows,), 0


def small_tensors(layers: int):
    """(name, shape, mean) of every tensor; norms' gains have the mean 1."""
    hidden, ffn, kv_heads, head_dim = 4096, 14336, 8, 128
    yield "model.embed_tokens.weight", (SMALL_VOCABULARY, hidden), 0
    for i in range(layers):
        prefix = f"model.layers.{i}."
        yield from with_bias(prefix + "self_attn.query_key_value", (HEADS + 2 * kv_heads) * head_dim, hidden)
        yield from with_bias(prefix + "self_attn.dense", hidden, hidden)
        yield from with_bias(prefix + "mlp.up_proj", 2 * ffn, hidden)
        yield from with_bias(prefix + "mlp.down_proj", hidden, ffn)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield from with_bias(prefix + name, hidden, 0, 1)
    yield from with_bias("model.final_layernorm", hidden, 0, 1)


def vision_tensors(layers: int):
    """Phi-3-mini with CLIP ViT-L/14 at 336 pixels and the projector."""
    hidden, ffn, vocabulary = 3072, 8192, 32064
    yield "model.embed_tokens.weight", (vocabulary, hidden), 0
    yield "lm_head.weight", (vocabulary, hidden), 0
    yield "model.norm.weight", (hidden,), 1
    for i in range(layers):
        prefix = f"model.layers.{i}."
        yield prefix + "self_attn.qkv_proj.weight", (3 * hidden, hidden), 0
        yield prefix + "self_attn.o_proj.weight", (hidden, hidden), 0
        yield prefix + "mlp.gate_up_proj.weight", (2 * ffn, hidden), 0
        yield prefix + "mlp.down_proj.weight", (hidden, ffn), 0
        yield prefix + "input_layernorm.weight", (hidden,), 1
        yield prefix + "post_attention_layernorm.weight", (hidden,), 1
    width, eye = 1024, "model.vision_embed_tokens."
    clip = eye + "img_processor.vision_model."
    yield clip + "embeddings.class_embedding", (width,), 0
    yield clip + "embeddings.patch_embedding.weight", (width, 3, 14, 14), 0
    yield clip + "embeddings.position_embedding.weight", (577, width), 0
    for name in ("pre_layrnorm", "post_layernorm"):
        yield from with_bias(clip + name, width, 0, 1)
    for i in range(24):
        prefix = f"{clip}encoder.layers.{i}."
        for name in ("layer_norm1", "layer_norm2"):
            yield from with_bias(prefix + name, width, 0, 1)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from with_bias(f"{prefix}self_attn.{name}", width, width)
        yield from with_bias(prefix + "mlp.fc1", 4 * width, width)
        yield from with_bias(prefix + "mlp.fc2", width, 4 * width)
    yield eye + "glb_GN", (1, 1, 4 * width), 0
    yield eye + "sub_GN", (1, 1, 1, 4 * width), 0
    yield from with_bias(eye + "img_projection.0", hidden, 4 * width)
    yield from with_bias(eye + "img_projection.2", hidden, hidden)


def vision_config(layers: int, context: int) -> dict:
    return {"architectures": ["Phi3VForCausalLM"], "model_type": "phi3_v", "hidden_size": 3072, "intermediate_size": 8192,
            "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "vocab_size": 32064,
            "max_position_embeddings": context, "rms_norm_eps": 1e-5, "hidden_act": "silu", "sliding_window": None,
            "tie_word_embeddings": False, "torch_dtype": "float16",
            "img_processor": {"name": "clip_vision_model", "num_img_tokens": 144}}


def small_config(layers: int, context: int) -> dict:
    dummies = [100256, 100258, 100259, 100260, 100264, 100265, *range(100267, 100352)]
    return {"architectures": ["Phi3SmallForCausalLM"], "model_type": "phi3small", "hidden_size": 4096,
            "ff_intermediate_size": 14336, "num_hidden_layers": layers, "num_attention_heads": HEADS,
            "num_key_value_heads": 8, "vocab_size": SMALL_VOCABULARY, "max_position_embeddings": context,
            "hidden_act": "gegelu", "gegelu_limit": 20.0, "layer_norm_epsilon": 1e-5, "rope_embedding_base": 1000000,
            "rope_position_scale": 1.0, "mup_use_scaling": True, "mup_attn_multiplier": 1.0,
            "mup_embedding_multiplier": 10.0, "mup_width_multiplier": 8.0, "blocksparse_block_size": 64,
            "blocksparse_num_local_blocks": 16, "blocksparse_vert_stride": 8, "blocksparse_homo_head_pattern": False,
            "dense_attention_every_n_layers": 2, "dummy_token_indices": dummies,
            "torch_dtype": "float16"}


def write_repeated(path: Path, tensors: list) -> None:
    """tensors: (name, safetensors' name of the type, shape, block): a block of numbers that is repeated until the tensor is full."""
    header, end = {}, 0
    for name, kind, shape, block in tensors:
        size = block.itemsize * int(np.prod(shape))
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, shape, block in tensors:
            left = int(np.prod(shape))
            while left > 0:
                file.write(block[:left].tobytes())
                left -= len(block)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=("small", "vision"), default="small")
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    config = small_config if args.model == "small" else vision_config
    tensors = list(small_tensors(args.layers) if args.model == "small" else vision_tensors(args.layers))
    (args.folder / "config.json").write_text(json.dumps(config(args.layers, args.context), indent=1) + "\n")
    if args.model == "vision":
        (args.folder / "preprocessor_config.json").write_text(json.dumps({"num_crops": 16}) + "\n")

    drawn = np.random.default_rng(args.seed).standard_normal(1 << 20) * 0.02
    blocks = {mean: (drawn + mean).astype("<f2") for mean in (0, 1)}
    write_repeated(args.folder / "model.safetensors", [(name, "F16", shape, blocks[mean]) for name, shape, mean in tensors])


if __name__ == "__main__":
    main()
