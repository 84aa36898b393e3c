#!/usr/bin/env python3
"""Writes testdata/train: losses and gradients that transformers computes for the models of testdata/golden (for developers).

    build/peers/st/bin/python tools/make_train_oracles.py testdata

A row of ids a model, f32, eager attention. Of each tensor's gradient two numbers are kept: its norm, and its sum after
multiplying element i with cos(i), which no permutation or change of sign leaves alone.
"""

import json
import random
import sys
from pathlib import Path

import torch
import transformers

MODELS = ["phi3-mini-like", "phi3-medium-like", "phi3-128k-like", "phi3-partial", "llama-like", "llama-biased"]


def gradients(folder, seed):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.get_input_embeddings().padding_idx = None  # or torch keeps the gradient of that row away
    rng = random.Random(seed)
    ids = [rng.randrange(model.config.vocab_size) for _ in range(33)]
    row = torch.tensor([ids])
    logits = model(row[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits[0], row[0, 1:])
    loss.backward()
    kept = {}
    for name, parameter in model.named_parameters():
        flat = parameter.grad.double().flatten()
        kept[name] = [float(flat.norm()), float((flat * torch.cos(torch.arange(len(flat), dtype=torch.float64))).sum())]
    return {"ids": ids, "loss": float(loss), "gradients": kept}


def main():
    testdata = Path(sys.argv[1])
    (testdata / "train").mkdir(exist_ok=True)
    about = {"oracle": f"transformers {transformers.__version__}, torch {torch.__version__}, eager attention, float32"}
    models = {name: gradients(testdata / "golden" / name, seed) for seed, name in enumerate(MODELS)}
    (testdata / "train" / "gradients.json").write_text(json.dumps(about | {"models": models}, indent=1) + "\n")
    for name, found in models.items():
        print(name, round(found["loss"], 4), len(found["gradients"]), "tensors")


if __name__ == "__main__":
    main()
