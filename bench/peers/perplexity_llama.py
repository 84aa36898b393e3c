#!/usr/bin/env python3
"""The perplexity that llama.cpp gives a GGUF file over token ids, in windows of 512 that do not overlap, no BOS. Prints JSON.

    build/peers/llama/bin/python bench/peers/perplexity_llama.py MODEL.gguf --ids @FILE [--threads N]
"""

import argparse
import json
from pathlib import Path

import numpy as np
from llama_cpp import Llama

WINDOW = 512


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--ids", required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    ids = [int(one) for one in Path(args.ids.removeprefix("@")).read_text().replace(",", " ").split()]
    model = Llama(args.model, n_ctx=WINDOW, n_batch=WINDOW, logits_all=True, n_threads=args.threads,
                  n_threads_batch=args.threads, verbose=False)
    losses = []
    for at in range(0, len(ids) - 1, WINDOW):
        window = ids[at:at + WINDOW]
        model.reset()
        model.eval(window)
        logits = np.array(model.scores[:len(window) - 1], dtype=np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        losses.append(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(window) - 1), window[1:]])
    print(json.dumps({"perplexity": float(np.exp(np.concatenate(losses).mean()))}))


if __name__ == "__main__":
    main()
