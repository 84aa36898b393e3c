#!/usr/bin/env python3
"""Writes testdata/tokenizers/learned.json: what Hugging Face's trainer learns of some texts (for developers).

    build/peers/st/bin/python tools/make_bpe_oracle.py testdata

The texts are the README of testdata and its sample documents that are plain text; the vocabulary has the markers of
Phi-3's chats, the bytes, and 700 merges.
"""

import json
import sys
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

MARKERS = ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]


def main():
    testdata = Path(sys.argv[1])
    files = sorted(path for path in (testdata / "tokenizers" / "ggml-vocabs").glob("*.inp"))
    texts = [path.read_text(encoding="utf-8") for path in files]
    texts.append("naïve café 数学を学ぶ 2,048 + 4,096 = 6,144\n\n\tindented   code();\r\nPréface — « œuvre » 🙂🙂🙂 " * 3)
    texts.append("aaaa aaaaaaa abababab banana bandana " * 5)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=len(MARKERS) + 256 + 700, special_tokens=MARKERS, min_frequency=2,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    merges = [merge if isinstance(merge, list) else merge.split(" ") for merge in learned["merges"]]
    found = {"oracle": f"tokenizers {tokenizers.__version__}", "texts": texts, "vocab": learned["vocab"], "merges": merges}
    (testdata / "tokenizers" / "learned.json").write_text(json.dumps(found, ensure_ascii=False) + "\n")
    print(len(learned["vocab"]), "tokens,", len(merges), "merges")


if __name__ == "__main__":
    main()
