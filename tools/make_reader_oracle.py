#!/usr/bin/env python3
"""Writes testdata/golden/bert-reader-like: a small random encoder, a LoRA adapter that makes it an extractive reader as
peft saves it, and the logits of the BertForQuestionAnswering that peft merges the two into.

Needs peft beside what bench/peers/install puts into build/peers/st: build/peers/st/bin/pip install peft
"""

import json
import shutil
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parent.parent / "testdata/golden/bert-reader-like"
# Ids as [CLS] question [SEP] passage [SEP]: (question's length, passage's length), the last as long as the model reads.
LENGTHS = [(3, 9), (1, 1), (12, 40), (5, 88)]


def main():
    torch.manual_seed(11)
    config = transformers.BertConfig(vocab_size=160, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
                                     intermediate_size=112, max_position_embeddings=96)
    model = transformers.BertForQuestionAnswering(config).float().eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.add_(torch.randn_like(tensor) * (0.2 if tensor.dim() == 1 else 1.2 / tensor.shape[1] ** 0.5))
    shutil.rmtree(FOLDER, ignore_errors=True)
    model.bert.save_pretrained(FOLDER)
    tuned = peft.get_peft_model(model, peft.LoraConfig(
        init_lora_weights=False, task_type="QUESTION_ANS", r=4, lora_alpha=6,
        target_modules=["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]))
    with torch.no_grad():
        for key, tensor in tuned.named_parameters():
            if "modules_to_save" in key:
                tensor.add_(0.3 * torch.randn_like(tensor))
    tuned.save_pretrained(FOLDER / "reader")
    (FOLDER / "reader/README.md").unlink(missing_ok=True)
    written = json.loads((FOLDER / "reader/adapter_config.json").read_text())
    written["base_model_name_or_path"] = "phial/bert-reader-like"
    (FOLDER / "reader/adapter_config.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
    merged = tuned.merge_and_unload().eval()
    pairs, tensors = [], {}
    for n, (question, passage) in enumerate(LENGTHS):
        ids = torch.randint(5, config.vocab_size, (question + passage + 3,))
        second = question + 2
        with torch.no_grad():
            out = merged(input_ids=ids[None], token_type_ids=(torch.arange(len(ids)) >= second).long()[None])
        tensors[f"logits.{n}"] = torch.stack([out.start_logits[0], out.end_logits[0]], dim=1).contiguous()
        pairs.append({"ids": ids.tolist(), "passage": second})
    (FOLDER / "expected.json").write_text(json.dumps({"pairs": pairs, "oracle": f"transformers {transformers.__version__}, "
                                                      f"peft {peft.__version__}, f32"}) + "\n")
    save_file(tensors, FOLDER / "expected.safetensors")


if __name__ == "__main__":
    main()
