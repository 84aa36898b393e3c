#!/usr/bin/env python3
"""Texts in which numbers are told and asked for, and sections of a book: what examples/extend trains on.

    prepare.py BOOK.jsonl.gz --out FOLDER

Writes short.jsonl (documents that fit a window of 128 tokens), long.jsonl (hundreds to thousands of tokens),
held_out.jsonl (sections of the book with nothing hidden in them, never trained on) and tokenizer.jsonl. Seeded; standard
library only. The sentences are those that `phial train extend` measures with.
"""

import argparse
import gzip
import json
import random
import re
from pathlib import Path

WORDS = ["amber", "birch", "cedar", "delta", "ember", "flint", "grove", "haven",
         "ivory", "jade", "kelp", "linen", "maple", "north", "olive", "pearl"]
FILLER = ["The grass is green.", "The sky is blue.", "The sun is yellow.", "Here we go.", "There and back again."]
DIGITS = 3

Pair = tuple[str, str]  # what tells a number, and a question with its answer


def number(rng: random.Random) -> str:
    return str(rng.randrange(10 ** (DIGITS - 1), 10 ** DIGITS))


def pass_key(rng: random.Random) -> Pair:
    key = number(rng)
    return f"The pass key is {key}. Remember it. {key} is the pass key.", f"What is the pass key? The pass key is {key}."


def numbers_of_words(rng: random.Random, n: int) -> list[Pair]:
    pairs = []
    for word in rng.sample(WORDS, n):
        told = f"he secret number of {word} is {number(rng)}."
        pairs.append(("T" + told, f"What is the secret number of {word}? T" + told))
    return pairs


def hay(rng: random.Random, sentences: list[str], characters: int) -> list[str]:
    """Sentences of the book that follow each other, or filler, of about so many characters."""
    source = FILLER if rng.random() < 0.5 else sentences
    at, taken, size = rng.randrange(len(source)), [], 0
    while size < characters:
        taken.append(source[at % len(source)])
        size += len(taken[-1]) + 1
        at += 1
    return taken


def repeated(rng: random.Random, words: list[str]) -> str:
    """Words or numbers in any order, and the same once more: what copying is learned from first."""
    if rng.random() < 0.7:
        part = " ".join(rng.sample(words, rng.randrange(4, 16)))
    else:
        part = " ".join(number(rng) for _ in range(rng.randrange(1, 4)))
    return f"{part}. {part}."


def short_document(rng: random.Random, sentences: list[str]) -> str:
    """One or two numbers told, all of them asked for at the end, up to three times."""
    pairs = [pass_key(rng)] if rng.random() < 0.4 else numbers_of_words(rng, rng.choice([1, 2]))
    parts = hay(rng, sentences, rng.randrange(170))
    for told, _ in pairs:
        parts.insert(rng.randrange(len(parts) + 1), told)
    asked = [question for _, question in pairs] * rng.choice([1, 2, 3])
    rng.shuffle(asked)
    return " ".join(parts + asked)


def long_document(rng: random.Random, sentences: list[str]) -> str:
    """Numbers told here and there; any of those before is asked for now and then, and all at the end."""
    waiting = [pass_key(rng)] if rng.random() < 0.4 else numbers_of_words(rng, rng.randrange(1, 9))
    parts = hay(rng, sentences, rng.randrange(1000, 5000))
    places = sorted(rng.randrange(len(parts)) for _ in waiting)
    out, told = [], []
    for i, part in enumerate(parts):
        while places and places[0] == i:
            places.pop(0)
            told.append(waiting.pop())
            out.append(told[-1][0])
        out.append(part)
        if told and rng.random() < 6 / len(parts):
            out.append(rng.choice(told)[1])
    rng.shuffle(told)
    return " ".join(out + [question for _, question in told])


def write(path: Path, texts: list[str]) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("book", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    rng = random.Random(1)
    with gzip.open(options.book, "rt", encoding="utf-8") as lines:
        sections = [" ".join(json.loads(line)["text"].split()) for line in lines]
    rng.shuffle(sections)
    held_out, train = sections[:8], sections[8:]
    sentences = [s for section in train for s in re.split(r"(?<=[.!?]) (?=[A-Z])", section) if 20 <= len(s) <= 160]
    words = sorted({word for s in sentences for word in re.findall(r"\b[a-z]{2,6}\b", s)})

    short = [short_document(rng, sentences) for _ in range(20000)] + [repeated(rng, words) for _ in range(12000)]
    rng.shuffle(short)
    long = [long_document(rng, sentences) for _ in range(2000)]
    options.out.mkdir(parents=True, exist_ok=True)
    write(options.out / "short.jsonl", short + train)
    write(options.out / "long.jsonl", long + train)
    write(options.out / "held_out.jsonl", held_out)
    # Without digits, so that each of them stays a token of its own.
    write(options.out / "tokenizer.jsonl", train + [re.sub(r"[0-9]+", "", text) for text in short[:4000]])
    print(f"{len(short)} short documents, {len(long)} long ones, {len(train)} sections; held out {len(held_out)}")


if __name__ == "__main__":
    main()
