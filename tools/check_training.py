#!/usr/bin/env python3
"""Trains tiny models of random shapes and sees that transformers and torch's AdamW come to the same (for developers).

    build/peers/st/bin/python tools/check_training.py [--models 6] [--seed 1]

Needs what bench/peers/install puts into build/peers/st, and what make train puts into build/release/bin. Each model
trains for some steps on all of its data at once, with phial train and with transformers, from the same first weights: the
losses of every step agree within 2e-4, and the model that was written gives transformers and phial logits that agree within
1e-3. Exit status 1 if anything disagrees.
"""

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / "build/release/bin"
TOKENS = 24  # of a row


def run(*words):
    done = subprocess.run([BIN / "phial", *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def shape(rng):
    kv, group, head = rng.choice([1, 2, 3]), rng.choice([1, 2, 4]), rng.choice([4, 8, 14])
    family = rng.choice(["phi3", "llama"])
    common = {"vocab_size": rng.randrange(40, 200), "hidden_size": kv * group * head, "intermediate_size": rng.randrange(20, 90),
              "num_hidden_layers": rng.choice([1, 2, 3]), "num_attention_heads": kv * group, "num_key_value_heads": kv,
              "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": rng.random() < 0.4,
              "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
    if family == "phi3":
        return {"model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "original_max_position_embeddings": 64,
                "sliding_window": rng.choice([None, 9]), **common}
    return {"model_type": "llama", "architectures": ["LlamaForCausalLM"], **common}


def write_shard(path, tokens):
    """One document (docs/formats.md, "Token shards"): every row of it then begins at position 0 and needs no mask."""
    ids = struct.pack(f"<{len(tokens)}H", *tokens)
    head = b"PHTOKENS" + struct.pack("<II", 1, 2)
    pad = b"\0" * (-len(ids) % 8)
    counts = struct.pack("<QQQQII", len(tokens), 1, len(tokens), 0, max(tokens) + 1, 0)
    path.write_bytes(head + ids + pad + counts + b"PHTOKEND")


def train(folder, out, steps, lr, rows):
    sets = {"model.config": folder / "config.json", "data.shards": f"['{folder / 'data.tokens'}']", "run.out": folder / out,
            "data.sequence_tokens": TOKENS, "batch.rows": rows, "train.steps": steps, "optimizer.lr": lr,
            "schedule.kind": "constant", "schedule.warmup_steps": 0, "init.sigma": 0.1, "train.seed": 3}
    run("train", "pretrain", "--quiet", *(word for name, value in sets.items() for word in ("--set", f"{name}={value}")))
    return [json.loads(line)["loss"] for line in (folder / out / "metrics.jsonl").read_text().splitlines()]


def reference(model, tokens, rows, steps, lr):
    """The losses of transformers with torch's AdamW: decay for matrices and embedding, clipping to 1."""
    windows = [tokens[r * TOKENS:r * TOKENS + TOKENS + 1] for r in range(rows)]
    batch = torch.tensor(windows)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], lr=lr,
                                  betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for _ in range(steps):
        logits = model(batch[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return losses


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def check(rng, folder):
    config = shape(rng)
    rows, steps, lr = rng.randrange(2, 7), 12, rng.choice([1e-3, 5e-3])
    tokens = [rng.randrange(config["vocab_size"]) for _ in range(rows * TOKENS + 1)]
    (folder / "config.json").write_text(json.dumps(config))
    write_shard(folder / "data.tokens", tokens)
    train(folder, "first", 1, 0, rows)  # writes the weights that the other run begins with
    found = train(folder, "run", steps, lr, rows)
    wanted = reference(load(folder / "first/model"), tokens, rows, steps, lr)
    off = max(abs(a - b) for a, b in zip(found, wanted, strict=True))

    ids = tokens[:TOKENS]
    run("logits", "--model", folder / "run/model", "--ids", ",".join(map(str, ids)), "--out", folder / "logits.npy")
    with torch.no_grad():
        theirs = load(folder / "run/model")(torch.tensor([ids]), use_cache=False).logits[0].numpy()
    apart = float(np.abs(np.load(folder / "logits.npy") - theirs).max())
    good = off <= 2e-4 and apart <= 1e-3
    print(f"{'ok    ' if good else 'FAILED'} {config['model_type']} {config['num_hidden_layers']} x {config['hidden_size']}, "
          f"loss {found[0]:.3f} to {found[-1]:.3f}: losses off by {off:.1e}, logits by {apart:.1e}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    rng = random.Random(args.seed)
    good = True
    for _ in range(args.models):
        with tempfile.TemporaryDirectory() as folder:
            good &= check(rng, Path(folder))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
