#!/usr/bin/env python3
"""How many held-out questions about pictures a model answers to the letter. Standard library only.

    evaluate.py words ROWS.jsonl ...      prints what is asked and answered, for a tokenizer
    evaluate.py judge --train ROWS.jsonl --held-out FOLDER --start RUN --run RUN --out FILE.json

Every held-out question is asked with `phial see`, greedily. Beside the answers stands chance: who knows the questions
and never looks. For each form of question (its names and numbers left out) that is what served best on the training
data: its most frequent answer, or the first or the second name that the question offers. The run's own curve
(held_out_exact in metrics.jsonl) must end at the share that `phial see` finds.
"""

import argparse
import collections
import json
import re
import subprocess
import sys
from pathlib import Path

TAG = "<|image_1|>\n"
NAMES = r"[A-Z0-9$€£][\w.,'%/-]*[\w%]|[A-Z0-9]"


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def questions_of(path: Path) -> list[dict]:
    """The rows, those with several questions as one row each."""
    return [
        {**row, "messages": row["messages"][i : i + 2]}
        for row in rows_of(path)
        for i in range(0, len(row["messages"]), 2)
    ]


def question_and_answer(row: dict) -> tuple[str, str]:
    question, answer = (message["content"] for message in row["messages"])
    return question.removeprefix(TAG), answer


def form_of(row: dict) -> tuple[str, str]:
    return row["kind"], re.sub(rf"(?:{NAMES})(?: (?:{NAMES}))*", "_", question_and_answer(row)[0])


def offered(question: str) -> list[str]:
    """The two names between which a question lets choose."""
    found = re.search(rf"({NAMES}(?: {NAMES})*) or ({NAMES}(?: {NAMES})*)", question)
    return list(found.groups()) if found else []


def guessers(rows: list[dict]) -> dict:
    """For each form, what to answer without looking."""
    forms = collections.defaultdict(list)
    for row in rows:
        forms[form_of(row)].append(question_and_answer(row))
    best = {}
    for form, pairs in forms.items():
        answer, count = collections.Counter(answer for _, answer in pairs).most_common(1)[0]
        choices = [(count, answer)]
        for i in (0, 1):
            choices.append((sum(offered(q)[i : i + 1] == [a] for q, a in pairs), i))
        best[form] = max(choices, key=lambda choice: choice[0])[1]
    return best


def guess(best: dict, row: dict) -> str:
    chosen = best.get(form_of(row), "")
    if isinstance(chosen, str):
        return chosen
    names = offered(question_and_answer(row)[0])
    return names[chosen] if names else ""


def seen(model: Path, picture: Path, question: str) -> str:
    command = ["phial", "see", str(picture), question, "--model", str(model), "--precision", "exact", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["text"].strip()


def judged(rows: list[dict], answers: list[str]) -> dict:
    by_kind = collections.defaultdict(list)
    for row, answer in zip(rows, answers):
        by_kind[row["kind"]].append(answer == question_and_answer(row)[1])
    hits = [hit for kind in by_kind.values() for hit in kind]
    return {"exact": sum(hits) / len(hits), **{kind: sum(own) / len(own) for kind, own in sorted(by_kind.items())}}


def judge(args: argparse.Namespace) -> int:
    rows = questions_of(args.held_out / "conversations.jsonl")
    best = guessers(questions_of(args.train))

    def ask(run: Path) -> list[str]:
        return [seen(run / "model", args.held_out / row["images"][0], question_and_answer(row)[0]) for row in rows]

    curve = [
        {"step": line["step"], "held_out_exact": line["held_out_exact"]}
        for line in rows_of(args.run / "metrics.jsonl")
        if "held_out_exact" in line
    ]
    answers = ask(args.run)
    report = {
        "questions": len(rows),
        "chance": judged(rows, [guess(best, row) for row in rows]),
        "start": judged(rows, ask(args.start)),
        "end": judged(rows, answers),
        "curve": curve,
    }
    args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    args.out.with_suffix(".answers.jsonl").write_text(
        "".join(
            json.dumps({"image": row["images"][0], "kind": row["kind"], "question": question_and_answer(row)[0],
                        "answer": question_and_answer(row)[1], "seen": answer}) + "\n"
            for row, answer in zip(rows, answers)
        ), encoding="utf-8")
    for name in ("chance", "start", "end"):
        print(name, *(f"{key} {value:.3f}" for key, value in report[name].items()))
    print("while training", *(f"{point['held_out_exact']:.3f}" for point in curve))
    differ = abs(curve[-1]["held_out_exact"] - report["end"]["exact"]) * len(rows)
    if differ > 0.5:
        print(f"phial see and the trainer differ in {differ:.0f} answers", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    words = verbs.add_parser("words")
    words.add_argument("rows", nargs="+", type=Path)
    judging = verbs.add_parser("judge")
    for name in ("--train", "--held-out", "--start", "--run", "--out"):
        judging.add_argument(name, type=Path, required=True)
    args = parser.parse_args()
    if args.verb == "judge":
        return judge(args)
    for path in args.rows:
        for row in questions_of(path):
            print(json.dumps({"text": "\n".join(question_and_answer(row))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
