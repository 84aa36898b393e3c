#!/usr/bin/env python3
"""Writes the fixtures of testdata/golden whose shapes are drawn rather than published (for developers).

    build/peers/st/bin/python tools/make_model_oracles.py testdata/golden

Each is a Hugging Face folder, the same weights as GGUF without a tokenizer, and what transformers computes from them:
logits of some prompts and greedy continuations, every step over the whole sequence.
"""

import json
import random
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

import check_models
import random_models

transformers.utils.logging.disable_progress_bar()


def shared(**more):
    return {"vocab_size": 131, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "rms_norm_eps": 1e-5, **more}


def llama_biased():
    rope = {"rope_theta": 10000.0, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32}
    config = transformers.LlamaConfig(**shared(
        hidden_size=50, intermediate_size=77, num_hidden_layers=2, num_attention_heads=5, num_key_value_heads=1,
        max_position_embeddings=256, rope_parameters=rope, attention_bias=True, tie_word_embeddings=True))
    return random_models.RandomModel("llama-biased", "llama", config, "float32", 0, 0, random.Random(1)), [1, 40]


def phi3_partial():
    rng = random.Random(2)
    original, longest, rope = 24, 96, None
    while rope is None or longest != 96:
        original, longest, rope = random_models.long_rope(rng, 9)
    rope |= {"rope_theta": 10000.0, "partial_rotary_factor": 0.75, "original_max_position_embeddings": original}
    config = transformers.Phi3Config(**shared(
        hidden_size=72, intermediate_size=45, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
        max_position_embeddings=longest, original_max_position_embeddings=original, rope_parameters=rope,
        sliding_window=7, tie_word_embeddings=False))
    spec = random_models.RandomModel("phi3-partial", "phi3-longrope", config, "float32", original, 7, rng)
    return spec, [1, original - 5, original + 9]


def write(folder, spec, lengths, seed):
    folder.mkdir(parents=True, exist_ok=True)
    model = random_models.save_gguf(spec, folder / "model.gguf", folder, seed, types=("F16", "F32"))
    cases, tensors = [], {}
    for k, n in enumerate(lengths):
        ids = [spec.rng.randrange(3, spec.config.vocab_size) for _ in range(n)]
        with torch.no_grad():
            tensors[f"case{k}.logits"] = model(torch.tensor([ids]), use_cache=False).logits[0].float().contiguous()
        greedy, rows = check_models.greedy_from_scratch(model, ids, 16)
        tensors[f"case{k}.gen_logits"] = torch.stack(rows)
        gaps = [float(torch.diff(torch.topk(row, 2).values).abs()) for row in rows]
        cases.append({"name": f"case{k}", "prompt_ids": ids, "greedy_ids": greedy, "min_margin": min(gaps)})
    save_file(tensors, folder / "expected.safetensors")
    about = {"seed": seed, "oracle": f"transformers {transformers.__version__}, eager attention, float32", "cases": cases}
    (folder / "expected.json").write_text(json.dumps(about, indent=1) + "\n")
    (folder / "generation_config.json").unlink(missing_ok=True)
    print(folder, [(len(c["greedy_ids"]), round(c["min_margin"], 3)) for c in cases])


def main():
    out = Path(sys.argv[1])
    write(out / "llama-biased", *llama_biased(), seed=5)
    write(out / "phi3-partial", *phi3_partial(), seed=6)


if __name__ == "__main__":
    main()
