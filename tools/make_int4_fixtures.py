#!/usr/bin/env python3
"""Writes AWQ and GPTQ folders of a tiny Phi-3, and the logits that their weights give.

    python tools/make_int4_fixtures.py testdata/golden/phi3-mini-like testdata/golden/phi3-int4-like

Takes the first layer and the first rows of the vocabulary of the model given, rounds its matrices to four bits and
writes one folder a layout; each holds expected.safetensors with the logits of PROMPT. They are computed here in double
precision, from the formulas of the Phi-3 network and of the layouts (docs/formats.md). Needs numpy only.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np

VOCABULARY = 64
PROMPT = [1, 60, 7, 33, 12, 12, 50, 3, 41, 28]
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]
DTYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32}
MATRICES = ["self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"]
LAYER = "model.layers.0."


def read_safetensors(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[8 + size + begin : 8 + size + end], DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def write_safetensors(path, tensors):
    header, body = {"__metadata__": {"format": "pt"}}, b""
    names = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
    for name in sorted(tensors):
        values = np.ascontiguousarray(tensors[name])
        end = len(body) + values.nbytes
        header[name] = {"dtype": names[values.dtype], "shape": list(values.shape), "data_offsets": [len(body), end]}
        body += values.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def pack(levels, order):
    """[..., 8] numbers of four bits -> int32 words; nibble i holds number order[i]."""
    words = np.zeros(levels.shape[:-1], np.uint32)
    for nibble, column in enumerate(order):
        words |= levels[..., column].astype(np.uint32) << np.uint32(4 * nibble)
    return words.view(np.int32)


def quantize(weights, groups, n_groups, symmetric):
    """weights [in, out] -> levels [in, out], zeros and f16 scales [groups, out]."""
    shape = (n_groups, weights.shape[1])
    zeros, scales = np.empty(shape, np.int64), np.empty(shape, np.float16)
    for group in range(n_groups):
        own = weights[groups == group]
        if symmetric:
            scales[group] = np.abs(own).max(0) / 7.5
            zeros[group] = 8
        else:
            low, high = np.minimum(own.min(0), 0), np.maximum(own.max(0), 0)
            scales[group] = (high - low) / 15
            zeros[group] = np.clip(np.rint(-low / scales[group].astype(np.float64)), 1, 15)
    levels = np.clip(np.rint(weights / scales[groups].astype(np.float64)) + zeros[groups], 0, 15).astype(np.int64)
    return levels, zeros, scales


def make_folder(folder, config, tensors, quantization, symmetric=False, act_order=False):
    method, size = quantization["quant_method"], quantization["group_size"]
    random = np.random.default_rng(20240423)
    stored, exact = {}, {}
    for name, values in tensors.items():
        matrix = name.removesuffix(".weight")
        if matrix.removeprefix(LAYER) not in MATRICES:
            stored[name] = values.astype(np.float16)
            exact[name] = stored[name].astype(np.float64)
            continue
        weights = values.T.astype(np.float64)
        n_inputs, n_outputs = weights.shape
        per_group = size if size > 0 else n_inputs
        groups = np.arange(n_inputs) // per_group
        if act_order:
            groups = random.permutation(groups)
        n_groups = -(-n_inputs // per_group)
        levels, zeros, scales = quantize(weights, groups, n_groups, symmetric)
        exact[name] = ((levels - zeros[groups]) * scales[groups].astype(np.float64)).T
        stored[matrix + ".scales"] = scales
        in_words = (-1, n_outputs // 8, 8)
        if method == "awq":
            stored[matrix + ".qweight"] = pack(levels.reshape(in_words), AWQ_ORDER)
            stored[matrix + ".qzeros"] = pack(zeros.reshape(in_words), AWQ_ORDER)
        else:
            offset = 0 if quantization.get("checkpoint_format") == "gptq_v2" else 1
            rows = levels.reshape(n_inputs // 8, 8, n_outputs).transpose(0, 2, 1)
            stored[matrix + ".qweight"] = pack(rows, range(8))
            stored[matrix + ".qzeros"] = pack((zeros - offset).reshape(in_words), range(8))
            stored[matrix + ".g_idx"] = groups.astype(np.int32)
            stored[matrix + ".bias"] = np.zeros(n_outputs, np.float16)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config | {"torch_dtype": "float16", "quantization_config": quantization}, indent=1) + "\n"
    (folder / "config.json").write_text(text)
    write_safetensors(folder / "model.safetensors", stored)
    ids = np.array(PROMPT, np.int32)
    write_safetensors(folder / "expected.safetensors", {"ids": ids, "logits": logits(config, exact).astype(np.float32)})


def rms(x, gain, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * gain


def logits(config, weights):
    """The network of docs/sources.md: fused q, k, v; half-split rotary; sliding window; silu(gate) * up."""
    n_heads, eps = config["num_attention_heads"], config["rms_norm_eps"]
    x = weights["model.embed_tokens.weight"][PROMPT]
    n_tokens, width = x.shape
    size = width // n_heads
    angles = np.outer(np.arange(n_tokens), config["rope_theta"] ** (-np.arange(0, size, 2) / size))
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]

    def rotate(y):
        a, b = np.split(y, 2, -1)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    y = rms(x, weights[LAYER + "input_layernorm.weight"], eps)
    qkv = y @ weights[LAYER + "self_attn.qkv_proj.weight"].T
    q, k, v = (part.reshape(n_tokens, n_heads, size) for part in np.split(qkv, 3, -1))
    scores = np.einsum("ihd,jhd->hij", rotate(q), rotate(k)) / np.sqrt(size)
    distance = np.subtract.outer(np.arange(n_tokens), np.arange(n_tokens))
    scores[:, (distance < 0) | (distance >= config["sliding_window"])] = -np.inf
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = np.einsum("hij,jhd->ihd", scores / scores.sum(-1, keepdims=True), v).reshape(n_tokens, width)
    x = x + mixed @ weights[LAYER + "self_attn.o_proj.weight"].T
    y = rms(x, weights[LAYER + "post_attention_layernorm.weight"], eps)
    gate, up = np.split(y @ weights[LAYER + "mlp.gate_up_proj.weight"].T, 2, -1)
    x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[LAYER + "mlp.down_proj.weight"].T
    return rms(x, weights["model.norm.weight"], eps) @ weights["lm_head.weight"].T


def main():
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    tensors = read_safetensors(source / "model.safetensors")
    tensors = {n: v for n, v in tensors.items() if not n.startswith("model.layers.") or n.startswith(LAYER)}
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = tensors[name][:VOCABULARY]
    config = json.loads((source / "config.json").read_text())
    config |= {"num_hidden_layers": 1, "vocab_size": VOCABULARY, "eos_token_id": 2, "pad_token_id": 2}

    awq = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True}
    make_folder(out / "awq", config, tensors, awq)
    make_folder(out / "gptq", config, tensors, gptq, symmetric=True)
    make_folder(out / "gptq-act-order", config, tensors, gptq | {"desc_act": True, "sym": False}, act_order=True)
    second = gptq | {"sym": False, "group_size": -1, "checkpoint_format": "gptq_v2"}
    make_folder(out / "gptq-v2", config, tensors, second)


if __name__ == "__main__":
    main()
