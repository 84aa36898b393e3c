"""Tiny random models by seed, as transformers makes and saves them, and the same weights as GGUF. For check_models.py.

Shapes are drawn from what the architectures allow rather than from what is published: odd widths, vocabularies that fill
no tile, windows of one key, rotary embeddings of a part of a head. Weights are drawn so that a few layers neither die
out nor settle on one token.
"""

import copy
import json
import math
import random
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers

SHARPNESS = (1.4, 1.4, 1.4, 3.0)  # of scores: their spread is about its square
FAMILIES = ("phi3", "phi3-longrope", "llama", "mistral", "qwen2")
GGUF_FAMILIES = ("phi3", "phi3-longrope", "llama", "qwen2")


@dataclass
class RandomModel:
    name: str
    family: str
    config: transformers.PretrainedConfig
    dtype: str  # of the stored weights
    original_context: int  # LongRoPE: where the table changes; else 0
    window: int
    rng: random.Random

    def describe(self):
        c = self.config
        parts = [f"{c.num_hidden_layers} layers of {c.hidden_size}/{c.intermediate_size}",
                 f"{c.num_attention_heads}/{c.num_key_value_heads} heads of {head_dim(c)}", f"vocabulary {c.vocab_size}"]
        if self.window:
            parts.append(f"window {self.window}")
        rope = rope_of(c)
        if rope.get("rope_type", "default") != "default":
            parts.append(rope["rope_type"])
        if rope.get("partial_rotary_factor", 1) != 1:
            parts.append(f"rotary part {rope['partial_rotary_factor']}")
        if getattr(c, "attention_bias", False):
            parts.append("biases")
        if c.tie_word_embeddings:
            parts.append("tied")
        return f"{self.name} {self.dtype}: " + ", ".join(parts)


def head_dim(config):
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def rope_of(config):
    return dict(config.rope_parameters or {})


def sizes(rng, family, multiple):
    """`multiple`: GGUF's blocks want whole ones of 32 in a row."""
    kv_heads = rng.choice([1, 1, 2, 3, 4])
    heads = kv_heads * rng.choice([1, 2, 3, 4] if kv_heads < 3 else [1, 2])
    width = rng.choice([32, 64, 96, 128] if multiple > 1 or rng.random() < 0.6 else [6, 10, 20, 34, 40, 50])
    return {"num_attention_heads": heads, "num_key_value_heads": kv_heads, "hidden_size": heads * width,
            "intermediate_size": multiple * rng.randrange(1, 8) if multiple > 1 else rng.randrange(9, 300),
            "num_hidden_layers": rng.randrange(1, 4), "vocab_size": rng.choice([5, 17, 160, 301, 384]),
            "max_position_embeddings": rng.choice([64, 256, 512]), "rms_norm_eps": rng.choice([1e-5, 1e-6]),
            "tie_word_embeddings": rng.random() < 0.4, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
            "initializer_range": 0.02}, width


def long_rope(rng, half):
    original = rng.choice([8, 16, 24, 40])
    longest = original * rng.choice([2, 4, 8, 32])
    factors = {"short_factor": sorted(round(rng.uniform(1, 2), 3) for _ in range(half)),
               "long_factor": sorted(round(rng.uniform(1, 2 * longest / original), 3) for _ in range(half))}
    return original, longest, {"rope_type": "longrope", **factors}


def rotary(rng, family, width, sized):
    """rope_parameters, and the original context (LongRoPE)."""
    theta = rng.choice([10000.0, 500000.0, 1234.5])
    if family.startswith("phi3"):
        rope = {"rope_theta": theta, "rope_type": "default"}
        part = rng.choice([1.0, 1.0, 1.0, 0.75, 0.5])
        while int(width * part) % 2 != 0:
            part = 1.0
        if part != 1.0:
            rope["partial_rotary_factor"] = part
        if family == "phi3":
            return rope, 0
        original, longest, more = long_rope(rng, int(width * part) // 2)
        sized["max_position_embeddings"] = longest
        sized["original_max_position_embeddings"] = original
        return {**rope, **more, "original_max_position_embeddings": original}, original
    kind = rng.choice(["default", "default", "linear", "llama3"] if family == "llama" else ["default"])
    rope = {"rope_theta": theta, "rope_type": kind}
    if kind == "linear":
        rope["factor"] = rng.choice([2.0, 3.5, 8.0])
    if kind == "llama3":
        rope.update(factor=rng.choice([4.0, 8.0, 32.0]), low_freq_factor=1.0, high_freq_factor=rng.choice([2.0, 4.0]),
                    original_max_position_embeddings=rng.choice([32, 64, 200]))
    return rope, 0


def random_model(seed, for_gguf=False):
    rng = random.Random(f"{seed}/{for_gguf}")
    family = (GGUF_FAMILIES if for_gguf else FAMILIES)[seed % len(GGUF_FAMILIES if for_gguf else FAMILIES)]
    sized, width = sizes(rng, family, 32 if for_gguf else 1)
    rope, original = rotary(rng, family, width, sized)
    window = 0
    if family in ("phi3", "mistral") or (family == "phi3-longrope" and rng.random() < 0.3):
        window = rng.choice([0, 1, 2, 7, 30, 1000])
    options = dict(sized, rope_parameters=rope)
    if family.startswith("phi3"):
        config = transformers.Phi3Config(**options, sliding_window=window or None, attention_dropout=0.0)
    elif family == "llama":
        if rng.random() < 0.3 and not for_gguf:
            options["head_dim"] = rng.choice([16, 24, 48])
        config = transformers.LlamaConfig(**options, attention_bias=rng.random() < 0.4)
    elif family == "mistral":
        config = transformers.MistralConfig(**options, sliding_window=window or None)
    else:
        config = transformers.Qwen2Config(**options, use_sliding_window=False)
    dtype = rng.choice(["float32", "float16", "bfloat16"])
    return RandomModel(f"{'gguf' if for_gguf else 'folder'}-{seed}-{family}", family, config, dtype, original, window, rng)


def draw_weights(model, seed, sharpness):
    """Fan-in scaled matrices; queries and keys larger, so that attention prefers some keys."""
    generator = torch.Generator().manual_seed(seed)
    tied = model.config.tie_word_embeddings
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if name.endswith("bias"):
                p.copy_(noise * 0.3)
            elif p.dim() == 1:
                p.copy_(1 + 0.2 * noise)
            elif "embed_tokens" in name:
                p.copy_(noise * (2.0 / math.sqrt(p.shape[1]) if tied else 1.0))
            else:
                gain = 3.0 if "lm_head" in name else sharpness if any(s in name for s in ("qkv", "q_proj", "k_proj")) else 1.2
                p.copy_(noise * gain / math.sqrt(p.shape[1]))


def old_style(config):
    """config.json as transformers wrote it before rope_parameters."""
    rope = config.pop("rope_parameters")
    kind = rope.pop("rope_type")
    for key in ("rope_theta", "partial_rotary_factor", "original_max_position_embeddings"):
        if key in rope and (key != "original_max_position_embeddings" or kind == "longrope"):
            config[key] = rope.pop(key)
    config["rope_scaling"] = None if kind == "default" else {"type" if kind == "longrope" else "rope_type": kind, **rope}


def save_folder(spec, folder, seed):
    """Saves the model, sharded or not, its configuration in the new spelling or the old; reads it back in float32."""
    model = transformers.AutoModelForCausalLM.from_config(spec.config, dtype=torch.float32).eval()
    draw_weights(model, seed, spec.rng.choice(SHARPNESS))
    model.to(getattr(torch, spec.dtype)).save_pretrained(folder, max_shard_size=spec.rng.choice(["30KB", "5GB"]))
    if spec.rng.random() < 0.5:
        path = Path(folder) / "config.json"
        config = json.loads(path.read_text())
        old_style(config)
        path.write_text(json.dumps(config))
    return load(folder)


def load(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.generation_config = transformers.GenerationConfig(eos_token_id=model.config.eos_token_id, pad_token_id=0)
    return model.eval()


def in_8_bits(x):
    """Blocks of 32 along the last dimension, rounded to 255 steps."""
    padded = torch.nn.functional.pad(x, (0, -x.shape[-1] % 32))
    blocks = padded.reshape(*x.shape[:-1], -1, 32)
    step = blocks.abs().amax(-1, keepdim=True).clamp(min=1e-30) / 127
    return (torch.round(blocks / step) * step).reshape(padded.shape)[..., :x.shape[-1]]


def rounded_to_8_bits(model):
    """A copy whose products round their weights and inputs, as an integer engine must."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight = torch.nn.Parameter(in_8_bits(module.weight.detach()))
            module.register_forward_pre_hook(lambda _, inputs: (in_8_bits(inputs[0]),))
    return model


# ---------------------------------------------------------------- GGUF
TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")


def permute(rows, heads):
    """Hugging Face's halves of a head -> the adjacent pairs that GGUF's llama keeps."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def unpermute(rows, heads):
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


LAYER = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.qkv_proj": "attn_qkv",
         "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_up_proj": "ffn_up", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name):
    stem, _, kind = name.rpartition(".")
    if stem in TOP:
        return f"{TOP[stem]}.{kind}"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{LAYER[rest]}.{kind}"


def write_metadata(writer, spec, rotary_dims):
    c, rope = spec.config, rope_of(spec.config)
    writer.add_name(spec.name)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_key_value_heads)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    writer.add_rope_dimension_count(rotary_dims)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_vocab_size(c.vocab_size)
    writer.add_eos_token_id(c.eos_token_id)
    if spec.family.startswith("phi3"):
        writer.add_sliding_window(spec.window)
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "longrope":
        original = spec.original_context
        scale = c.max_position_embeddings / original
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(scale) / math.log(original)))
        writer.add_tensor("rope_factors_long.weight", np.asarray(rope["long_factor"], np.float32))
        writer.add_tensor("rope_factors_short.weight", np.asarray(rope["short_factor"], np.float32))


def save_gguf(spec, path, folder, seed, types=TYPES):
    """Writes GGUF, each matrix in a type of its own, and a folder with what they hold; the model computes with that."""
    model = transformers.AutoModelForCausalLM.from_config(spec.config, dtype=torch.float32).eval()
    draw_weights(model, seed, spec.rng.choice(SHARPNESS))
    architecture = "phi3" if spec.family.startswith("phi3") else spec.family
    writer = gguf.GGUFWriter(path, architecture)
    rope, width = rope_of(spec.config), head_dim(spec.config)
    write_metadata(writer, spec, int(width * rope.get("partial_rotary_factor", 1)))
    if rope["rope_type"] == "llama3":  # as divisors; the reference's own frequencies tell them
        own = model.model.rotary_emb.inv_freq.double().numpy()
        plain = rope["rope_theta"] ** -(np.arange(0, width, 2, dtype=np.float64) / width)
        writer.add_tensor("rope_freqs.weight", (plain / own).astype(np.float32))
    heads = {"q_proj": spec.config.num_attention_heads, "k_proj": spec.config.num_key_value_heads}
    mostly = spec.rng.choice(types)
    with torch.no_grad():
        for name, p in model.named_parameters():
            rows = p.numpy()
            turned = heads.get(name.split(".")[-2]) if spec.family == "llama" else None
            if turned:
                rows = permute(rows, turned)
            kind = mostly if spec.rng.random() < 0.7 else spec.rng.choice(types)
            if rows.ndim == 1:
                writer.add_tensor(gguf_name(name), np.ascontiguousarray(rows))
                continue
            kind = gguf.GGMLQuantizationType[kind]
            stored = gguf.quants.quantize(np.ascontiguousarray(rows), kind)
            writer.add_tensor(gguf_name(name), stored, raw_dtype=kind)
            rows = gguf.quants.dequantize(stored, kind)
            p.copy_(torch.from_numpy(np.array(unpermute(rows, turned) if turned else rows)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    spec.dtype = mostly
    model.save_pretrained(folder)
    return load(folder)
