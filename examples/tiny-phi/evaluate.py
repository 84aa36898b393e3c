#!/usr/bin/env python3
"""Judges tiny-phi, in the folder of its run: does it keep to the chat format, and how near is its text to a book's?

    evaluate.py [--samples 200] [--judge MODEL] [--out evaluation.json]

- Answers to questions of the held-out sections, sampled at temperature 0.8: the share that ends by itself.
- The mean negative log-likelihood a token that a larger model (SmolLM2-135M) gives to these answers, to what the book
  answers (held out), and to texts of a 5-gram model of the same books (absolute discounting, 0.75) of the same lengths.
  The nearer to the book's, the better.
- The share of word 8-grams of the answers that stand in the training text.
- Perplexity of held-out text before and after quantization.

Standard library only; `phial` is on the PATH, the judge where `make demo` puts it.
"""

import argparse
import collections
import json
import random
import subprocess
import tempfile
from pathlib import Path

DISCOUNT = 0.75
ORDER = 5


def phial(*arguments: str) -> dict:
    done = subprocess.run(["phial", *arguments, "--json", "-q"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"phial {' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]


def answers_of(chats: list[dict]) -> tuple[list[str], int]:
    """What the model says, and how many answers ended by themselves."""
    texts, ended = [], 0
    for seed, chat in enumerate(chats):
        prompt = f"<|user|>\n{chat['messages'][0]['content']}<|end|>\n<|assistant|>\n"
        said = phial("generate", "--model", "tiny-phi.gguf", "-p", prompt, "-n", "120", "--temperature", "0.8",
                     "--top-p", "0.95", "--seed", str(seed))
        texts.append(said["text"].strip())
        ended += said["stop"] == "end"
    return texts, ended


class NGrams:
    """P(w | h) = max(c(h w) - d, 0) / c(h) + d n(h) / c(h) P(w | shorter h), sampled exactly."""

    def __init__(self, texts: list[str]):
        self.counts = [collections.defaultdict(collections.Counter) for _ in range(ORDER)]
        for text in texts:
            words = ["<s>"] * (ORDER - 1) + text.split()
            for i in range(ORDER - 1, len(words)):
                for n in range(ORDER):
                    self.counts[n][tuple(words[i - n:i])][words[i]] += 1

    def next_word(self, history: tuple[str, ...], rng: random.Random) -> str:
        for n in range(len(history), -1, -1):
            found = self.counts[n].get(history[len(history) - n:])
            if not found:
                continue
            at = rng.random() * sum(found.values())
            for word, count in found.items():
                at -= count - (DISCOUNT if n > 0 else 0)
                if at < 0:
                    return word
        raise AssertionError("a unigram is always found")

    def text(self, length: int, rng: random.Random) -> str:
        words = ["<s>"] * (ORDER - 1)
        for _ in range(length):
            words.append(self.next_word(tuple(words[1 - ORDER:]), rng))
        return " ".join(words[ORDER - 1:])


def mean_nll(judge: str, texts: list[str]) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n\n".join(texts))
        file.flush()
        found = phial("perplexity", "--model", judge, file.name)
    return found["nll_sum"] / found["scored"]


def eight_grams(texts: list[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i:i + 8]) for words in map(str.split, texts) for i in range(len(words) - 7)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--judge", default="SmolLM2-135M-Instruct.Q4_1")
    parser.add_argument("--out", type=Path, default=Path("evaluation.json"))
    options = parser.parse_args()

    rng = random.Random(1)
    chats = rows("chats_held_out.jsonl")
    chats = rng.sample(chats, min(options.samples, len(chats)))
    books = [chat["messages"][1]["content"] for chat in chats]
    answers, ended = answers_of(chats)
    training = [row["text"] for row in rows("texts.jsonl")]
    model = NGrams([part for text in training for part in text.split("\n\n")])
    grams = [model.text(len(text.split()), rng) for text in books]

    known = set(eight_grams(training))
    ours = eight_grams(answers)
    Path("held_out.txt").write_text("\n\n".join(row["text"] for row in rows("texts_held_out.jsonl")), encoding="utf-8")
    found = {
        "samples": len(answers),
        "ended_by_itself": ended / len(answers),
        "nll_held_out": mean_nll(options.judge, books),
        "nll_tiny_phi": mean_nll(options.judge, answers),
        "nll_5_gram": mean_nll(options.judge, grams),
        "copied_8_grams": sum(gram in known for gram in ours) / max(1, len(ours)),
        "perplexity_f32": phial("perplexity", "--model", "dpo/model", "held_out.txt")["perplexity"],
        "perplexity_q4_0": phial("perplexity", "--model", "tiny-phi.gguf", "held_out.txt")["perplexity"],
    }
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    for name, value in found.items():
        print(f"{name:18} {value:.4g}" if isinstance(value, float) else f"{name:18} {value}")
    for chat, answer in list(zip(chats, answers))[:3]:
        print(f"\n> {chat['messages'][0]['content']}\n{answer}")


if __name__ == "__main__":
    main()
