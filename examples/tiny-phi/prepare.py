#!/usr/bin/env python3
"""Books to what the stages of tiny-phi read: texts, conversations, pairs of answers. Standard library only.

    prepare.py BOOK.jsonl.gz ... --out FOLDER [--share 1.0]

A twentieth of a book's sections, chosen by a hash, is held out of everything that is trained on. A conversation asks
to write about a section's subject or to go on from a sentence, in one of several wordings; the answer is what the book
says. Of a pair the chosen answer is the book's, the rejected one says its first sentence over and over, as small models
like to.
"""

import argparse
import gzip
import hashlib
import json
import re
from pathlib import Path

ABOUT = ["Write about {}.", "Tell me something about {}.", "What does the book say about {}?", "Explain {}, briefly."]
GO_ON = ["Go on from here: {}", "Continue this text. {}", "What comes next? {}"]


def number_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def pick(choices: list[str], text: str) -> str:
    return choices[number_of("pick" + text) % len(choices)]


def paragraphs(text: str) -> list[str]:
    plain = [part.strip() for part in text.split("\n\n")]
    return [part for part in plain if part and part[0].isalpha() and part[-1] in ".!?" and len(part.split()) >= 20]


def sentences(paragraph: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", paragraph) if part]


def short(parts: list[str], most_words: int) -> str:
    """Whole sentences, at least one, up to so many words."""
    taken: list[str] = []
    for part in parts:
        if taken and len(" ".join([*taken, part]).split()) > most_words:
            break
        taken.append(part)
    return " ".join(taken)


def chat(question: str, answer: str) -> dict:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=1.0, help="of the sections; less for a quick run")
    options = parser.parse_args()

    texts, chats, pairs = ({"": [], "_held_out": []} for _ in range(3))
    for book in options.books:
        with gzip.open(book, "rt", encoding="utf-8") as lines:
            sections = [json.loads(line) for line in lines]
        sections = sections[: max(4, round(options.share * len(sections)))]
        order = sorted(section["module"] for section in sections)
        order.sort(key=number_of)
        held_out = set(order[: -(-len(order) // 20)])
        for section in sections:
            part = "_held_out" if section["module"] in held_out else ""
            texts[part].append({"text": section["title"] + "\n\n" + section["text"]})
            for paragraph in paragraphs(section["text"]):
                first, *rest = sentences(paragraph)
                if not rest or len(first.split()) > 40:
                    continue
                if number_of(paragraph) % 2 == 0:
                    question, answer = pick(ABOUT, paragraph).format(section["title"]), short([first, *rest], 60)
                else:
                    question, answer = pick(GO_ON, paragraph).format(first), short(rest, 60)
                chats[part].append(chat(question, answer))
                once = sentences(answer)[0]
                looped = " ".join([once] * max(2, round(len(answer.split()) / len(once.split()))))
                if number_of("pair" + paragraph) % 4 == 0 and looped != answer:
                    pairs[part].append({"prompt": question, "chosen": answer, "rejected": looped})

    options.out.mkdir(parents=True, exist_ok=True)
    for part in ("", "_held_out"):
        write(options.out / f"texts{part}.jsonl", texts[part])
        write(options.out / f"chats{part}.jsonl", chats[part])
        write(options.out / f"pairs{part}.jsonl", pairs[part])
    print(f"{len(texts[''])} texts, {len(chats[''])} conversations, {len(pairs[''])} pairs; held out "
          f"{len(texts['_held_out'])}, {len(chats['_held_out'])}, {len(pairs['_held_out'])}")


if __name__ == "__main__":
    main()
