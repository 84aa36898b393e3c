#!/usr/bin/env python3
"""A Hugging Face folder of Phi-3-mini's shape with random weights in four bits, as AutoAWQ and AutoGPTQ lay them out,
for the time and the memory that loading takes.

    python3 tools/random_phi3_int4.py FOLDER --layout awq|gptq|gptq-act-order [--layers 32] [--group 128] [--seed 1]

Needs numpy. Numbers of a tensor are one block of random ones repeated: they take no time to draw, and no loader looks at
them twice. awq has zero points of all values, gptq is symmetric (all 8), gptq-act-order has both, and its groups are
scattered over the inputs.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from random_phi3 import write_repeated

HIDDEN, FFN, HEADS, VOCAB = 3072, 8192, 32, 32064
BLOCK = 1 << 20


def config(layers: int, layout: str, group: int):
    awq = {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm"}
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": group, "desc_act": layout != "gptq", "sym": layout == "gptq"}
    return {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_size": HIDDEN, "intermediate_size": FFN,
            "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "vocab_size": VOCAB,
            "max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "sliding_window": 2047,
            "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None,
            "tie_word_embeddings": False, "torch_dtype": "float16", "bos_token_id": 1, "eos_token_id": 32000,
            "quantization_config": awq if layout == "awq" else gptq}


def tensors(args, rng):
    """(name, type, shape, a block of its numbers, or all of them)."""
    words = rng.integers(-(1 << 31), 1 << 31, BLOCK, dtype=np.int32)
    small = (rng.standard_normal(BLOCK) * 0.02).astype("<f2")
    near_one = (1 + rng.standard_normal(HIDDEN) * 0.02).astype("<f2")
    scales = np.abs(0.004 + rng.standard_normal(BLOCK) * 0.0005).astype("<f2")  # levels spread by 4.6
    eights = np.full(BLOCK, 0x77777777, np.int32)  # stored less one
    yield "model.embed_tokens.weight", "F16", (VOCAB, HIDDEN), small
    for i in range(args.layers):
        prefix = f"model.layers.{i}."
        for name, out, inputs in (("self_attn.qkv_proj", 3 * HIDDEN, HIDDEN), ("self_attn.o_proj", HIDDEN, HIDDEN),
                                  ("mlp.gate_up_proj", 2 * FFN, HIDDEN), ("mlp.down_proj", HIDDEN, FFN)):
            groups = -(-inputs // args.group)
            levels = (inputs, out // 8) if args.layout == "awq" else (inputs // 8, out)
            yield f"{prefix}{name}.qweight", "I32", levels, words
            yield f"{prefix}{name}.qzeros", "I32", (groups, out // 8), eights if args.layout == "gptq" else words
            yield f"{prefix}{name}.scales", "F16", (groups, out), scales
            if args.layout != "awq":
                index = np.arange(inputs, dtype=np.int32) // args.group
                yield f"{prefix}{name}.g_idx", "I32", (inputs,), index if args.layout == "gptq" else rng.permutation(index)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}{name}.weight", "F16", (HIDDEN,), near_one
    yield "model.norm.weight", "F16", (HIDDEN,), near_one
    yield "lm_head.weight", "F16", (VOCAB, HIDDEN), small


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layout", choices=["awq", "gptq", "gptq-act-order"], required=True)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--group", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / "config.json").write_text(json.dumps(config(args.layers, args.layout, args.group), indent=1) + "\n")

    write_repeated(args.folder / "model.safetensors", list(tensors(args, np.random.default_rng(args.seed))))


if __name__ == "__main__":
    main()
