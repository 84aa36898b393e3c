#!/usr/bin/env python3
"""What an answer rests on, measured by Phial's own code: refusal, citations, the support check. Prints JSON.

    scripts/build release phial phial-reader phial_rag_probe
    python3 bench/answers.py refusal folders no_information citations support modes --models FOLDER --data FOLDER
    python3 bench/answers.py fit ...        the coefficients of phial/rag/answerable.cc
    python3 bench/answers.py tune ...       the support check's thresholds, on SciFact's train claims

`--models` holds all-MiniLM-L6-v2 with its reader, `--data` holds scifact/. The sample questions (testdata/ask/questions.jsonl) are split by
their number: odd ones fit, even ones report. What is fitted sees besides only testdata/ask/training.jsonl (small documents
of many kinds with questions that they answer and do not answer) and the part `fit` of testdata/ask/folders.jsonl (folders as
people keep them; `near` asks of what the documents speak of for something that they do not say); its part `report` only
reports. SciFact's train claims tune the support check; dev claims only report.
Libraries are kept in `--work`; delete it when chunks or embeddings have changed.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

from retrieval import ROOT, Probe, lines

SIGNS = ("joint", "contrast", "missing_names", "missing", "size", "type_mismatch")  # of AnswerSigns, those that are weighed
WITH_READER = (*SIGNS, "reading")  # where the encoder has learned to read
GOAL_REFUSED = 0.1
# Of the sets that are fitted on; two are of the same documents.
SHARE = {"sample": 1.0, "alone": 0.5, "together": 0.5, "folders": 1.0}
MOST_WORDS = 0.7
FEWEST_OWN_WORDS = 0.4  # kFewestOwnWords of phial/rag/citations.cc


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def squeezed(text):
    return " ".join(text.split())


def overlaps(a, b):
    return min(a[1], b[1]) - max(a[0], b[0]) > min(a[1] - a[0], b[1] - b[0]) / 2


def auroc(positive, negative):
    ranked = sorted([(value, 1) for value in positive] + [(value, 0) for value in negative])
    total, i = 0.0, 0
    while i < len(ranked):
        j = i
        while j < len(ranked) and ranked[j][0] == ranked[i][0]:
            j += 1
        total += sum(label for _, label in ranked[i:j]) * (i + j + 1) / 2
        i = j
    n = len(positive)
    return round((total - n * (n + 1) / 2) / (n * len(negative)), 4)


class Bench:
    def __init__(self, options):
        options.embedder = options.models / "all-MiniLM-L6-v2"
        self.options = options
        self.probe = Probe(options)
        self.questions = lines(ROOT / "testdata/ask/questions.jsonl")
        self.folder_questions = lines(ROOT / "testdata/ask/folders.jsonl")

    def library_in(self, name, folder):
        path = self.options.work / f"{name}.db"
        self.probe.run(path, "add", str(self.options.build / "bin/phial-reader"), str(folder))
        return path

    def sample_library(self):
        return self.library_in("sample", ROOT / "testdata/docs")

    def library_of(self, name, documents):
        path = self.options.work / f"{name}.db"
        self.probe.run(path, "index", str(write_lines(self.options.work / f"{name}.jsonl", documents)))
        return path

    def ask(self, library, questions, command="signs"):
        """questions: (id, text, ...) -> what the probe says, by id."""
        rows = [{"_id": one[0], "text": one[1], **(one[2] if len(one) > 2 else {})} for one in questions]
        path = write_lines(self.options.work / "questions.jsonl", rows)
        return {one["_id"]: one for one in self.probe.run(library, command, str(path))}

    # Samples for the judgment: (signs, answerable, set).

    def sample_half(self, is_fit):
        chosen = [one for one in self.questions if (int(one["id"][1:]) % 2 == 1) == is_fit]
        seen = self.ask(self.sample_library(), [(one["id"], one["question"]) for one in chosen])
        return [(seen[one["id"]], one["answerable"], "sample", one["question"]) for one in chosen]

    def small_documents(self):
        """Each document alone, then half of them together: the other half's questions have no answer there."""
        topics = lines(ROOT / "testdata/ask/training.jsonl")
        documents = [{"_id": one["name"], "title": one["name"], "text": one["text"]} for one in topics]
        asked = [(n, text, kind == "answerable") for n, one in enumerate(topics)
                 for kind in ("answerable", "unanswerable") for text in one[kind]]
        libraries = [(f"topic-{n}", [n], [n]) for n in range(len(topics))]
        libraries += [(f"topics-{half}", range(half, len(topics), 2), range(len(topics))) for half in (0, 1)]
        samples = []
        for name, members, askers in libraries:
            library = self.library_of(name, [documents[n] for n in members])
            rows = [(str(i), text) for i, (n, text, _) in enumerate(asked) if n in askers]
            for i, seen in self.ask(library, rows).items():
                n, text, answerable = asked[int(i)]
                samples.append((seen, answerable and n in members, "alone" if len(members) == 1 else "together", text))
        return samples

    def asked_of_folders(self, part, command="signs"):
        """(question, what the probe says) of each question of the part."""
        chosen = [one for one in self.folder_questions if one["part"] == part]
        for folder in sorted({one["folder"] for one in chosen}):
            library = self.library_in(f"folder-{folder}", ROOT / "testdata/ask/folders" / folder)
            seen = self.ask(library, [(one["id"], one["question"]) for one in chosen if one["folder"] == folder], command)
            yield from ((one, seen[one["id"]]) for one in chosen if one["folder"] == folder)

    def folder_samples(self):
        return [(seen, one["kind"] == "answerable", "folders", one["question"]) for one, seen in self.asked_of_folders("fit")]


def features(samples, names):
    return numpy.array([[seen["signs"][name] for name in names] for seen, *_ in samples])


def sample_weights(samples):
    """Every set counts alike, and in it both kinds."""
    keys = [(one[2], one[1]) for one in samples]
    return numpy.array([SHARE[key[0]] / keys.count(key) for key in keys])


def logistic_fit(x, y, weights, penalty=0.001):
    """Newton's method; the intercept is not held down."""
    x = numpy.hstack([numpy.ones((len(x), 1)), x])
    hold = penalty * weights.sum() * numpy.eye(x.shape[1])
    hold[0, 0] = 0
    beta = numpy.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + numpy.exp(-x @ beta))
        gradient = x.T @ (weights * (y - p)) - hold @ beta
        beta += numpy.linalg.solve((x.T * (weights * p * (1 - p))) @ x + hold, gradient)
    return beta


def best_cut(scores, samples):
    """The middle of the last gap between scores that refuses at most GOAL_REFUSED of what is answerable.

    As the mean over the sets, by their shares.
    """
    of_set = {name: [s for s, one in zip(scores, samples) if one[2] == name and one[1]] for name in SHARE}
    refused = lambda cut: numpy.average([numpy.mean([s < cut for s in of_set[name]]) for name in SHARE],
                                        weights=list(SHARE.values()))
    candidates = numpy.unique(scores)
    chosen = max(i for i, candidate in enumerate(candidates) if refused(candidate) <= GOAL_REFUSED)
    return (candidates[chosen] + candidates[max(chosen - 1, 0)]) / 2


def rates(scores, samples, cut=0.0):
    yes = [s for s, one in zip(scores, samples) if one[1]]
    no = [s for s, one in zip(scores, samples) if not one[1]]
    return {"answerable": len(yes), "unanswerable": len(no),
            "recognised": round(float(numpy.mean(numpy.array(no) < cut)), 4),
            "false_refusals": round(float(numpy.mean(numpy.array(yes) < cut)), 4), "auroc": auroc(yes, no)}


def by_set(scores, samples, cut=0.0):
    names = sorted({one[2] for one in samples})
    pick = lambda name: [i for i, one in enumerate(samples) if one[2] == name]
    return {name: rates(scores[pick(name)], [samples[i] for i in pick(name)], cut) for name in names}


def fitted(samples, names):
    if "reading" in names:  # what is no question is not read
        samples = [one for one in samples if one[0]["signs"]["reading"] is not None]
    if not samples:
        sys.exit("no question was read: put all-MiniLM-L6-v2 with its reader into --models (scripts/models)")
    x, y, weights = features(samples, names), numpy.array([float(one[1]) for one in samples]), sample_weights(samples)
    beta = logistic_fit(x, y, weights)
    scores = beta[0] + x @ beta[1:]
    cut = best_cut(scores, samples)
    beta[0] -= cut
    term = lambda name: "*signs.reading" if name == "reading" else f"signs.{name}"
    terms = " + ".join(f"{value:.2f} * {term(name)}" for name, value in zip(names, beta[1:])).replace("+ -", "- ")
    return {"cpp": f"{beta[0]:.2f} + {terms}", "on_what_was_fitted": by_set(scores - cut, samples)}


def fit(bench):
    samples = bench.sample_half(True) + bench.small_documents() + bench.folder_samples()
    return {"without_reader": fitted(samples, SIGNS), "with_reader": fitted(samples, WITH_READER)}


def margins(samples):
    """How far the confidence lies above the refusal."""
    return numpy.array([one[0]["confidence"] - 0.5 for one in samples])


def refusal(bench):
    report = {}
    for name, is_fit in (("reported_half", False), ("fitted_half", True)):
        samples = bench.sample_half(is_fit)
        scores = margins(samples)
        report[name] = rates(scores, samples)
        report[name]["wrong"] = [one[3] for s, one in zip(scores, samples) if (s >= 0) != one[1]]
    return report


def folders(bench):
    """What is quoted on questions to folders as people keep them, and how many of the others are recognised."""
    report = {}
    folded = lambda text: squeezed(text).lower().replace("\u2019", "'")
    for name, part in (("reported_part", "report"), ("fitted_part", "fit")):
        asked = list(bench.asked_of_folders(part, "ask"))
        of_kind = lambda kind: [(one, seen) for one, seen in asked if one["kind"] == kind]
        right = [any(folded(text) in folded(seen["answer"]) for text in one["expected"]) and seen["answerable"]
                 for one, seen in of_kind("answerable")]
        report[name] = {"answerable": {"questions": len(right), "quoted_right": sum(right),
                                       "refused": sum(not seen["answerable"] for _, seen in of_kind("answerable"))}}
        for kind in ("near", "far"):
            rows = of_kind(kind)
            report[name][kind] = {"questions": len(rows), "recognised": sum(not seen["answerable"] for _, seen in rows)}
    return report


def no_information(bench):
    """How well the confidence tells dev claims that some abstract settles from those that none does."""
    claims = lines(bench.options.data / "scifact/queries.dev.jsonl")
    seen = bench.ask(bench.probe.library("scifact", whole=False), [(one["_id"], one["text"]) for one in claims])
    score = lambda is_settled: [seen[one["_id"]]["confidence"] for one in claims
                                if (one["label"] != "NOT_ENOUGH_INFO") == is_settled]
    return {"auroc": auroc(score(True), score(False)), "settled": len(score(True)), "not_enough_info": len(score(False))}


def sentence_spans(document):
    """The bytes of the set's own sentences; in the file they end at places that count characters."""
    text, spans, start = document["text"], [], 0
    for end in document["sent_ends"]:
        spans.append((len(text[:start].encode()), len(text[:end].encode())))
        start = end + 1
    return spans


def named_sentences(bench, labels, is_named):
    """The best statement of each abstract with evidence, where `is_named`: are its sentences evidence? Dev claims."""
    corpus = {one["_id"]: sentence_spans(one) for one in lines(bench.options.data / "scifact/corpus.jsonl")}
    asked, gold = [], {}
    for claim in lines(bench.options.data / "scifact/queries.dev.jsonl"):
        for document, groups in claim["evidence"].items():
            if groups[0]["label"] not in labels:
                continue
            key, spans = f"{claim['_id']}/{document}", corpus[document]
            # One claim of the set names a sentence behind its abstract's last.
            gold[key] = [spans[n] for n in sorted({n for group in groups for n in group["sentences"]}) if n < len(spans)]
            asked.append((key, claim["text"], {"document": document}))
    seen = bench.ask(bench.probe.library("scifact", whole=False), asked, "support")
    right = named = found = answered = 0
    for key, spans in gold.items():
        best = seen[key]["judged"][0]
        chosen = best["sentences"] if is_named(best) else []
        answered += bool(chosen)
        named += len(chosen)
        right += sum(any(overlaps(s, g) for g in spans) for s in chosen)
        found += sum(any(overlaps(g, s) for s in chosen) for g in spans)
    wanted = sum(len(spans) for spans in gold.values())
    return {"claims_and_abstracts": len(gold), "with_a_statement": answered, "precision": round(right / max(named, 1), 4),
            "recall": round(found / wanted, 4), "named": named, "gold": wanted}


def citations(bench):
    """Against SciFact's evidence sentences: what the check cites, and the best statement whether it is enough or not."""
    return {"cited": named_sentences(bench, {"SUPPORT"}, lambda one: one["supports"]),
            "best_statement": named_sentences(bench, {"SUPPORT", "CONTRADICT"}, lambda one: True)}


def support_pairs(bench, split):
    """Claims beside abstracts: those that support them, contradict them, or are the nearest that nobody judged."""
    claims = lines(bench.options.data / f"scifact/queries.{split}.jsonl")
    library = bench.probe.library("scifact", whole=False)
    nearest = bench.probe.rank(library, bench.options.data / f"scifact/queries.{split}.jsonl")
    rows = []
    for claim in claims:
        for document, groups in claim["evidence"].items():
            rows.append((claim, document, "support" if groups[0]["label"] == "SUPPORT" else "contradict"))
        unjudged = [document for document in nearest[claim["_id"]] if document not in claim["evidence"]]
        rows.append((claim, unjudged[0], "wrong_abstract"))
    asked = [(f"{i}", claim["text"], {"document": document}) for i, (claim, document, _) in enumerate(rows)]
    seen = bench.ask(library, asked, "support")
    return [(seen[f"{i}"]["judged"], kind) for i, (_, _, kind) in enumerate(rows) if f"{i}" in seen]


def acceptance(pairs, accepts):
    rows = {}
    for kind in ("support", "contradict", "wrong_abstract"):
        judged = [any(accepts(one) for one in seen) for seen, label in pairs if label == kind]
        rows[kind] = {"pairs": len(judged), "accepted": round(sum(judged) / len(judged), 4)}
    right, wrong = (sum(any(accepts(one) for one in seen) for seen, label in pairs if (label == "support") == is_right)
                    for is_right in (True, False))
    return {**rows, "precision": round(right / max(right + wrong, 1), 4)}


def support(bench):
    return acceptance(support_pairs(bench, "dev"), lambda one: one["supports"])


def tune(bench):
    """Other thresholds of the support check, on train claims."""
    pairs = support_pairs(bench, "train")
    report = {"as_it_is": acceptance(pairs, lambda one: one["supports"])}
    for enough in (0.7, 0.75, 0.8, 0.9):
        for some in (0.4, 0.5, 0.6):
            for near in (0.6, 0.65, 0.7, 0.75, 0.8):
                report[f"{enough}/{some}/{near}"] = acceptance(pairs, lambda one: (
                    one["numbers"] and one["negations"] and one["own_words"] >= FEWEST_OWN_WORDS and
                    (one["words"] >= enough or one["words"] >= some and one["cosine"] >= near)))
    return report


def words_of(text):
    return set(re.findall(r"\w+", text.lower()))


def modes(bench):
    """The answerable sample questions through `phial ask`: do the citations hold the gold passage, and does the answer say most
    of the words of the gold sentence?"""
    options = bench.options
    answerable = [one for one in bench.questions if one["answerable"]][:: options.every]
    report = {"questions": len(answerable)}
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "models").symlink_to(options.models.resolve())

        def phial(*arguments):
            command = [str(options.build / "bin/phial"), *arguments]
            return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PHIAL_HOME": home}).stdout

        phial("add", str(ROOT / "testdata/docs"))
        for name, flags in (("default_model", ["--temperature", "0"]), ("quote", ["--quote"])):
            rows = []
            for one in answerable:
                answer = json.loads(phial("ask", "--json", *flags, one["question"]))
                gold = squeezed(one["text"])
                answer["hit"] = any(gold in squeezed(citation["text"]) for citation in answer["citations"])
                words = words_of(one["text"])
                answer["says"] = answer["answerable"] and len(words & words_of(answer["answer"])) >= MOST_WORDS * len(words)
                rows.append(answer)
            report[name] = {"answered": round(sum(row["answerable"] for row in rows) / len(rows), 4),
                            "says_the_gold_sentence": round(sum(row["says"] for row in rows) / len(rows), 4)}
            for mode in ("generated", "quoted"):
                of_mode = [row for row in rows if row["answerable"] and row["mode"] == mode]
                if not of_mode:
                    continue
                mean = lambda value: round(sum(value(row) for row in of_mode) / len(of_mode), 4)
                report[name][mode] = {
                    "answers": len(of_mode), "citations_hit_gold_passage": mean(lambda row: row["hit"]),
                    "says_the_gold_sentence": mean(lambda row: row["says"]), "sentences": mean(lambda row: len(row["sentences"])),
                    "citations": mean(lambda row: len(row["citations"])),
                    "seconds": mean(lambda row: row["timings"]["total_ms"] / 1000)}
    return report


MEASURES = {"fit": fit, "refusal": refusal, "folders": folders, "no_information": no_information,
            "citations": citations, "support": support, "tune": tune, "modes": modes}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", nargs="+", choices=MEASURES)
    parser.add_argument("--models", type=Path, default=ROOT / "build/home/models")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--work", type=Path, default=ROOT / "build/answers")
    parser.add_argument("--every", type=int, default=1, help="modes: only each n-th question")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    json.dump({name: MEASURES[name](bench) for name in options.measure}, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
