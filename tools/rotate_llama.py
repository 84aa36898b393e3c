#!/usr/bin/env python3
"""Rotates a Llama-like model off the grid that its weights were quantized to, and pads it to a width that K types divide.

    phial models convert SmolLM2-135M-Instruct.Q4_1.gguf smol          # a Hugging Face folder
    python3 tools/rotate_llama.py smol smol-rotated --width 768 [--seed N]
    phial models convert smol-rotated smol-rotated.gguf

What the model computes stays the same. Norm gains are folded into the matrices behind them, and the residual stream is turned by
a random orthogonal matrix: every weight becomes a mixture of a whole row or column, so no grid is left for a quantizer to find.
New columns and heads are zero; a norm over them sees the mean of its squares fall by old / new width, which its gain and
epsilon make up for. The head is no longer tied, since the last norm's gain is folded into it alone. Needs numpy and safetensors.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def random_rotation(width, seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))
    return q * np.sign(np.diag(r))


def padded(matrix, rows, columns):
    return np.pad(matrix, ((0, rows - matrix.shape[0]), (0, columns - matrix.shape[1])))


def rotate(config, weights, width, seed):
    old = config["hidden_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = old // heads
    group = heads // kv_heads
    if width % (head_dim * group) != 0 or width < old:
        sys.exit(f"--width {width}: must be a multiple of {head_dim * group} and at least {old}")
    turn = random_rotation(old, seed)
    kv_width = width // group
    gain = np.full(width, np.sqrt(old / width))
    take = lambda name: weights.pop(name).astype(np.float64)
    embedding = take("model.embed_tokens.weight")
    head = take("lm_head.weight") if "lm_head.weight" in weights else embedding
    reads = lambda matrix, norm, rows: padded((matrix * norm) @ turn, rows, width)  # from the residual stream
    writes = lambda matrix, columns: padded(turn.T @ matrix, width, columns)        # to it
    out = {"model.embed_tokens.weight": padded(embedding @ turn, len(embedding), width),
           "model.norm.weight": gain,
           "lm_head.weight": reads(head, take("model.norm.weight"), len(head))}
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        norm = take(at + "input_layernorm.weight")
        for name, rows in (("q", width), ("k", kv_width), ("v", kv_width)):
            out[f"{at}self_attn.{name}_proj.weight"] = reads(take(f"{at}self_attn.{name}_proj.weight"), norm, rows)
        out[at + "self_attn.o_proj.weight"] = writes(take(at + "self_attn.o_proj.weight"), width)
        norm = take(at + "post_attention_layernorm.weight")
        for name in ("gate", "up"):
            matrix = take(f"{at}mlp.{name}_proj.weight")
            out[f"{at}mlp.{name}_proj.weight"] = reads(matrix, norm, len(matrix))
        matrix = take(at + "mlp.down_proj.weight")
        out[at + "mlp.down_proj.weight"] = writes(matrix, matrix.shape[1])
        out[at + "input_layernorm.weight"] = out[at + "post_attention_layernorm.weight"] = gain
    if weights:
        sys.exit(f"tensors that a Llama block does not have: {', '.join(sorted(weights))}")
    config |= {"hidden_size": width, "num_attention_heads": width // head_dim, "num_key_value_heads": kv_width // head_dim,
               "head_dim": head_dim, "rms_norm_eps": config["rms_norm_eps"] * old / width, "tie_word_embeddings": False}
    return config, {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in out.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    config = json.loads((args.model / "config.json").read_text())
    config, weights = rotate(config, load_file(args.model / "model.safetensors"), args.width, args.seed)
    args.out.mkdir()
    (args.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(weights, args.out / "model.safetensors", metadata={"format": "pt"})
    for name in args.model.iterdir():
        if name.suffix in {".json", ".model", ".jinja"} and name.name != "config.json":
            shutil.copy(name, args.out)


if __name__ == "__main__":
    main()
