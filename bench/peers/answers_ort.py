#!/usr/bin/env python3
"""What answers_probe measures, of ONNX Runtime GenAI: prompts one after the other that share a beginning, answered greedily.

    build/peers/ort/bin/python bench/peers/answers_ort.py FOLDER PROMPTS.json [--threads N]

FOLDER: of the model builder. The cache is rewound to what a prompt shares with the one before. Prints {"load_s": ...,
"answers": [...]}; `load_s` begins after Python's imports.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import onnxruntime_genai as og


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("prompts")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if hasattr(og, "disable_telemetry_events"):
        og.disable_telemetry_events()
    asked = json.loads(Path(args.prompts).read_text())
    prompts, tokens = asked["prompts"], asked["tokens"]
    longest = max(map(len, prompts)) + tokens + 1
    began = time.perf_counter()
    config = og.Config(args.folder)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": args.threads}}}}))
    model = og.Model(config)
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=longest, min_length=longest, do_sample=False, batch_size=1)
    generator = og.Generator(model, params)
    out = {"load_s": time.perf_counter() - began, "answers": []}
    held = []
    for prompt in prompts:
        began = time.perf_counter()
        reused = len(os.path.commonprefix([held, prompt]))
        if held:
            generator.rewind_to(reused)
        generator.append_tokens(np.array(prompt[reused:], dtype=np.int32))
        generator.generate_next_token()  # picks from the logits of the prompt
        prefill_s, began = time.perf_counter() - began, time.perf_counter()
        for _ in range(tokens - 1):
            generator.generate_next_token()
        out["answers"].append({"prefill_s": prefill_s, "decode_s": time.perf_counter() - began, "tokens": tokens, "reused": reused})
        held = prompt
    print(json.dumps(out))


if __name__ == "__main__":
    main()
