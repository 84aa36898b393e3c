#!/usr/bin/env python3
"""Writes testdata/lora: adapters as peft saves them, and the logits of the models that peft merges them into.

Needs peft beside what bench/peers/install puts into build/peers/st: build/peers/st/bin/pip install peft
The models are those of testdata/golden; the adapters are random, with a fixed seed.
"""
import json
import pathlib
import shutil

import peft
import torch
import transformers
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = {
    # One rank for all, over the fused matrices of Phi-3.
    "phi3-mini-like": {"r": 4, "lora_alpha": 8, "target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]},
    # Ranks of their own, the scale over the root of the rank, a head that was trained whole.
    "llama-like": {"r": 4, "lora_alpha": 6, "use_rslora": True, "target_modules": ["q_proj", "v_proj", "down_proj"],
                   "rank_pattern": {"v_proj": 2}, "alpha_pattern": {"layers.1.mlp.down_proj": 3},
                   "modules_to_save": ["lm_head"]},
}


def main():
    for name, options in CASES.items():
        torch.manual_seed(3)
        folder = ROOT / "testdata/golden" / name
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        tuned = peft.get_peft_model(model, peft.LoraConfig(init_lora_weights=False, task_type="CAUSAL_LM", **options))
        with torch.no_grad():
            for key, parameter in tuned.named_parameters():
                if "modules_to_save" in key:
                    parameter.add_(0.02 * torch.randn_like(parameter))
        out = ROOT / "testdata/lora" / name
        shutil.rmtree(out, ignore_errors=True)
        tuned.save_pretrained(out)
        (out / "README.md").unlink(missing_ok=True)
        config = json.loads((out / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = f"phial/{name}"
        (out / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        ids = torch.tensor([[1 + i * 37 % 350 for i in range(24)]])
        merged = tuned.merge_and_unload().eval()
        with torch.no_grad():
            logits = merged(ids).logits[0]
        save_file({"ids": ids[0].to(torch.int32), "logits": logits.contiguous()}, out / "expected.safetensors")
        plain = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        with torch.no_grad():
            moved = (plain(ids).logits[0] - logits).abs().max().item()
        print(f"{name}: the adapter moves logits by up to {moved:.3g}")


if __name__ == "__main__":
    main()
