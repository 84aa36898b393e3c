"""The `ask`-shaped prompts: the same passages of a real document, two questions, an answer that quotes."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = ROOT / "testdata/docs/md/sqlite-faq.md"
QUESTIONS_OF = "html/sqlite-faq.html"  # the same text in testdata/ask/questions.jsonl
PROMPT_TOKENS, ANSWER_TOKENS = 1500, 128
INSTRUCTION = "Passages:\n\n{passages}\n\nQuestion: {question}\nThe sentences of the passages that answer it, word for word:\n"


def token_ids(phial: str, model: Path, text: str) -> list[int]:
    command = [phial, "tokenize", "--model", str(model), "--ids", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return [int(one) for one in done.stdout.split()]


def paragraphs() -> list[str]:
    """From the first answer on, as plain text: without quote marks, anchors and what links lead to."""
    text = DOCUMENT.read_text(encoding="utf-8")
    text = text[text.index('<span id="q1">'):]
    for pattern, plain in ((r"<span[^>]*></span>", ""), (r"(?m)^(> ?)+", ""), (r"\[([^\]]*)\]\([^)]*\)", r"\1"), (r"[*\\]", "")):
        text = re.sub(pattern, plain, text)
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def ask_prompts(phial: str, model: Path) -> dict:
    """{"prompts": [ids, ids], "tokens": ..., "passages": ..., "questions": [...]}: as many passages as make a prompt of at
    most PROMPT_TOKENS, and the first and the last of the questions that they answer."""
    asked = [json.loads(line) for line in (ROOT / "testdata/ask/questions.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = [one for one in asked if one.get("file") == QUESTIONS_OF]
    longest = max((one["question"] for one in asked), key=len)
    room = PROMPT_TOKENS - len(token_ids(phial, model, INSTRUCTION.format(passages="", question=longest)))
    taken: list[str] = []
    for part in paragraphs():
        if len(token_ids(phial, model, "\n\n".join([*taken, part]))) > room:
            break
        taken.append(part)
    passages = "\n\n".join(taken)
    said = " ".join(passages.split())
    answered = [one["question"] for one in asked if " ".join(one["text"].split()) in said]
    if len(answered) < 2:
        raise SystemExit(f"table.py: error: the passages of {DOCUMENT.name} answer {len(answered)} questions, 2 are wanted")
    questions = [answered[0], answered[-1]]
    return {"prompts": [token_ids(phial, model, INSTRUCTION.format(passages=passages, question=one)) for one in questions],
            "tokens": ANSWER_TOKENS, "passages": passages, "questions": questions}
