#!/usr/bin/env python3
"""Writes testdata/train/trl.json: losses and gradients of TRL's trainers for the models of testdata/golden (for developers).

Needs TRL beside what bench/peers/install puts into build/peers/st: build/peers/st/bin/pip install trl
    build/peers/st/bin/python tools/make_trl_oracles.py testdata

Conversations and pairs are random ids with the places that are answers. The reference of DPO is the model with every
weight i of a tensor multiplied with 1 + 0.1 cos(i): anyone can make it again. cDPO is TRL's aot on one pair at a time:
there its sorting does nothing and its formula is cDPO's. Of each tensor's gradient two numbers are kept, as
tools/make_train_oracles.py does.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import torch
import transformers
import trl
from datasets import Dataset

MODELS = ["phi3-mini-like", "llama-biased"]
# Name -> (TRL's loss, beta, label smoothing).
LOSSES = {"sigmoid": ("sigmoid", 0.1, 0), "sigmoid_norm": ("sigmoid_norm", 2.0, 0), "ipo": ("ipo", 0.3, 0),
          "cdpo": ("aot", 0.1, 0.2)}


def load(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.get_input_embeddings().padding_idx = None
    return model.eval()


def moved(model):
    with torch.no_grad():
        for parameter in model.parameters():
            flat = parameter.flatten()
            flat.mul_(1 + 0.1 * torch.cos(torch.arange(len(flat), dtype=torch.float64)).float())
            parameter.copy_(flat.view_as(parameter))
    return model


def answered(rng, vocabulary, prompt, answer):
    return {"ids": [rng.randrange(vocabulary) for _ in range(prompt + answer)], "is_answer": [0] * prompt + [1] * answer}


def pair(rng, vocabulary):
    chosen = answered(rng, vocabulary, rng.randrange(3, 9), rng.randrange(2, 12))
    prompt = chosen["is_answer"].count(0)
    rejected = answered(rng, vocabulary, prompt, rng.randrange(2, 12))
    rejected["ids"][:prompt] = chosen["ids"][:prompt]
    return {"chosen": chosen, "rejected": rejected}


def padded(rows):
    width = max(len(row["ids"]) for row in rows)
    fill = lambda values: torch.tensor([list(map(int, value)) + [0] * (width - len(value)) for value in values])
    return (fill([row["ids"] for row in rows]), fill([row["is_answer"] for row in rows]),
            fill([[1] * len(row["ids"]) for row in rows]))


def gradients(model):
    kept = {}
    for name, parameter in model.named_parameters():
        flat = parameter.grad.double().flatten()
        kept[name] = [float(flat.norm()), float((flat * torch.cos(torch.arange(len(flat), dtype=torch.float64))).sum())]
    model.zero_grad()
    return kept


def trainer_of(kind, config, folder, **more):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder.parent / MODELS[0])  # any: it tokenizes nothing here
    data = [{"prompt": "a", "completion": "b", "chosen": "b", "rejected": "c"}] * 2
    return kind(args=config, processing_class=tokenizer, train_dataset=Dataset.from_list(data), **more)


def common(scratch):
    return {"output_dir": scratch, "report_to": [], "use_cpu": True, "bf16": False, "gradient_checkpointing": False}


def preferences(folder, pairs, scratch):
    found = {}
    for name, (loss_type, beta, smoothing) in LOSSES.items():
        config = trl.DPOConfig(**common(scratch), beta=beta, loss_type=[loss_type], label_smoothing=smoothing)
        trainer = trainer_of(trl.DPOTrainer, config, folder, model=load(folder), ref_model=moved(load(folder)))
        batches = [[one] for one in pairs] if name == "cdpo" else [pairs]
        total = 0.0
        for batch in batches:
            ids, answers, there = padded([one["chosen"] for one in batch] + [one["rejected"] for one in batch])
            loss = trainer._compute_loss(
                trainer.model, {"input_ids": ids, "attention_mask": there, "completion_mask": answers}, False)
            (loss / len(batches)).backward()
            total += float(loss) / len(batches)
        metrics = {key.split("/")[1]: sum(values) / len(values)
                   for key, values in trainer._metrics["eval"].items() if key.startswith("rewards/")}
        found[name] = {"loss": total, "beta": beta, "label_smoothing": smoothing, "rewards": metrics,
                       "gradients": gradients(trainer.model)}
        print(folder.name, name, total, metrics)
    return found


def tuning(folder, conversations, scratch):
    config = trl.SFTConfig(**common(scratch))
    trainer = trainer_of(trl.SFTTrainer, config, folder, model=load(folder))
    ids, answers, there = padded(conversations)
    loss = trainer.compute_loss(trainer.model, {"input_ids": ids, "attention_mask": there,
                                                "labels": ids.masked_fill(answers == 0, -100)})
    loss.backward()
    print(folder.name, "sft", float(loss))
    return {"loss": float(loss), "gradients": gradients(trainer.model)}


def main():
    testdata = Path(sys.argv[1])
    found = {"oracle": f"trl {trl.__version__}, transformers {transformers.__version__}, torch {torch.__version__}, f32"}
    found["models"] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for seed, name in enumerate(MODELS):
            folder = testdata / "golden" / name
            rng = random.Random(seed)
            vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
            pairs = [pair(rng, vocabulary) for _ in range(4)]
            conversations = [answered(rng, vocabulary, rng.randrange(2, 8), rng.randrange(2, 14)) for _ in range(6)]
            found["models"][name] = {"pairs": pairs, "preferences": preferences(folder, pairs, scratch),
                                     "conversations": conversations, "sft": tuning(folder, conversations, scratch)}
    (testdata / "train" / "trl.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
