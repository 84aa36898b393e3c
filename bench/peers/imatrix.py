#!/usr/bin/env python3
"""What llama.cpp's quantizer weighs columns by: for each matrix the mean square of every column of its input, over a text.

    build/peers/st/bin/python bench/peers/imatrix.py FOLDER OUT.npz --ids 1,2,3 (or @FILE)

FOLDER: a Llama-like Hugging Face model. Names in OUT are GGUF's. Windows of 512 tokens, as `phial quantize --calibrate`
reads them.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

WINDOW = 512
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def gguf_name(name):
    if name == "lm_head":
        return "output.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest]}.weight"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--ids", required=True)
    args = parser.parse_args()
    listed = Path(args.ids[1:]).read_text() if args.ids.startswith("@") else args.ids
    ids = [int(one) for one in listed.replace(",", " ").split()]
    model = AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.float32)
    sums, tokens = {}, 0

    def watch(name):
        def add(_module, inputs, _output):
            squares = (inputs[0].reshape(-1, inputs[0].shape[-1]).double() ** 2).sum(0)
            sums[name] = sums.get(name, 0) + squares
        return add

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(watch(gguf_name(name)))
    with torch.inference_mode():
        for at in range(0, len(ids) - WINDOW + 1, WINDOW):
            model(torch.tensor([ids[at:at + WINDOW]]), logits_to_keep=0)
            tokens += WINDOW
    np.savez(args.out, **{name: (value / tokens).float().numpy() for name, value in sums.items()})


if __name__ == "__main__":
    main()
