#!/usr/bin/env python3
"""What answers_probe measures, of llama.cpp: prompts one after the other that share a beginning, answered greedily.

    build/peers/llama/bin/python bench/peers/answers_llama.py MODEL.gguf PROMPTS.json --peers FOLDER [--threads N]
        [--flash on|off] [--kv f16|q8_0|q4_0] [--load read|map] [--draft 10]

The cache keeps what a prompt shares with the one before. Each prompt is answered twice: token by token, and with
llama-cpp-python's own prompt lookup (`--draft` tokens, 0: only plain), whose guesses are checked in one batch; its class Llama would also
compute logits for every position of the prompt with that, which this does not. Prints {"load_s": ..., "answers": [...],
"lookup": [...]}; `load_s` begins after Python's imports, which no user of llama.cpp waits for.
"""

import argparse
import ctypes
import importlib.util
import json
import time
from pathlib import Path

import numpy as np


def peer_script(folder):
    """llama_cpp.py of the peers, which has its package's name."""
    spec = importlib.util.spec_from_file_location("peer_llama", Path(folder) / "llama_cpp.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def common_beginning(a, b):
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


class Answering:
    def __init__(self, peer, session):
        self.L, self.session = peer.L, session
        self.batch = self.L.llama_batch_init(512, 0, 1)

    def best(self, row):
        """The likeliest token after the `row`-th of those that were asked for logits; -1: the last."""
        logits = self.L.llama_get_logits_ith(self.session.ctx, row)
        return int(np.ctypeslib.as_array(logits, (self.session.vocab,)).argmax())

    def check(self, ids):
        """Feeds ids at once and gives the likeliest token after each."""
        for i, token in enumerate(ids):
            self.batch.token[i], self.batch.pos[i] = token, self.session.n + i
            self.batch.n_seq_id[i], self.batch.seq_id[i][0], self.batch.logits[i] = 1, 0, 1
        self.batch.n_tokens = len(ids)
        if self.L.llama_decode(self.session.ctx, self.batch):
            raise SystemExit("answers_llama.py: error: llama_decode failed")
        self.session.n += len(ids)
        return [self.best(i) for i in range(len(ids))]

    def answer(self, prompt, first, tokens, drafter):
        """`prompt` is in the cache, `first` follows it."""
        ids, accepted, drafted, began = [first], 0, 0, time.perf_counter()
        while len(ids) < tokens:
            guess = []
            if drafter is not None:
                guess = [int(i) for i in drafter(np.array(prompt + ids, dtype=np.intc))][:tokens - len(ids) - 1]
            if guess:
                follows = self.check([ids[-1], *guess])
                right = common_beginning(guess, follows)
                self.session.trim(self.session.n - len(guess) + right)
                ids += follows[:right + 1]
                accepted, drafted = accepted + right, drafted + len(guess)
            else:
                self.session.feed(ids[-1:])
                ids.append(self.best(-1))
        return ids, {"decode_s": time.perf_counter() - began, "tokens": len(ids), "drafted": drafted, "accepted": accepted}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("prompts")
    parser.add_argument("--peers", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--flash", default="off", choices=("on", "off"))
    parser.add_argument("--kv", default="f16", choices=("f16", "q8_0", "q4_0"))
    parser.add_argument("--load", default="read", choices=("read", "map"))
    parser.add_argument("--draft", type=int, default=10)
    args = parser.parse_args()
    peer = peer_script(args.peers)
    L = peer.L
    quiet = L.llama_log_callback(lambda level, text, data: None)
    L.llama_log_set(quiet, ctypes.c_void_p(0))
    asked = json.loads(Path(args.prompts).read_text())
    prompts, tokens = asked["prompts"], asked["tokens"]
    from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

    began = time.perf_counter()
    L.llama_backend_init()
    if args.load == "map":
        params = L.llama_model_default_params()
        params.n_gpu_layers = 0
        model = L.llama_model_load_from_file(args.model.encode(), params)
    else:
        model, _ = peer.load(args.model, args.threads, True)
    ctx = peer.context(model, max(map(len, prompts)) + tokens + 16, args.threads, args.kv, args.flash == "on")
    load_s = time.perf_counter() - began
    answering = Answering(peer, peer.Session(model, ctx))
    session, held = answering.session, []
    out = {"load_s": load_s, "answers": [], "lookup": []}
    for prompt in prompts:
        began = time.perf_counter()
        reused = min(common_beginning(held, prompt), len(prompt) - 1)
        session.trim(reused)
        session.feed(prompt[reused:])
        first = answering.best(-1)
        read = {"prefill_s": time.perf_counter() - began, "reused": reused}
        ids, plain = answering.answer(prompt, first, tokens, None)
        out["answers"].append({**read, **plain})
        if args.draft:
            session.trim(len(prompt))
            drafter = LlamaPromptLookupDecoding(num_pred_tokens=args.draft)
            _, looked_up = answering.answer(prompt, first, tokens, drafter)
            out["lookup"].append({**read, **looked_up})
        session.trim(len(prompt))
        held = prompt
    print(json.dumps(out))


if __name__ == "__main__":
    main()
