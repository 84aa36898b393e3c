#!/usr/bin/env python3
"""Retrieval and citation quality on judged sets, by Phial's own code. Prints JSON.

    cmake --build --preset release --target phial_rag_probe
    python3 bench/retrieval.py --data FOLDER --embedder FOLDER [--work FOLDER] [--reference] [--tune]

`--data` holds scifact/ and cranfield/ (corpus.jsonl, queries*.jsonl, qrels*.tsv). A document's score is that of its best
passage. `vectors_whole` embeds each text whole, cut at the embedder's length, as sentence-transformers does; with
`--reference` that package is measured on the same files. `--tune` shows SciFact's train claims for several weights: the
only data that the weight of the fusion was chosen on. Libraries are kept in `--work`,
so a second run only searches.
"""

import argparse
import collections
import json
import math
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETS = {
    "scifact_train": ("scifact", "queries.train.jsonl", "qrels.train.tsv"),
    "scifact": ("scifact", "queries.dev.jsonl", "qrels.dev.tsv"),
    "cranfield": ("cranfield", "queries.jsonl", "qrels.tsv"),
}


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def judgments(path):
    judged = collections.defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged[query][document] = int(grade)
    return judged


def ndcg(ranked, grades, k=10):
    gain = sum(grades.get(document, 0) / math.log2(place + 2) for place, document in enumerate(ranked[:k]))
    best = sum(grade / math.log2(place + 2) for place, grade in enumerate(sorted(grades.values(), reverse=True)[:k]))
    return gain / best if best else 0.0


def recall(ranked, grades, k=100):
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant & set(ranked[:k])) / len(relevant)


def score(rankings, judged):
    asked = [query for query in judged if any(grade > 0 for grade in judged[query].values())]
    got = [(ndcg(rankings.get(q, []), judged[q]), recall(rankings.get(q, []), judged[q])) for q in asked]
    return {"ndcg@10": round(sum(n for n, _ in got) / len(got), 4), "recall@100": round(sum(r for _, r in got) / len(got), 4),
            "queries": len(got)}


class Probe:
    def __init__(self, options):
        self.options = options
        self.program = str(options.build / "phial/rag/phial_rag_probe")

    def library(self, name, whole):
        path = self.options.work / f"{name}{'-whole' if whole else ''}.db"
        corpus = str(self.options.data / name / "corpus.jsonl")
        self.run(path, "index", corpus, *(["whole"] if whole else []))
        return path

    def run(self, library, *arguments):
        command = [self.program, str(self.options.embedder), str(library), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def rank(self, library, queries, weight=None):
        """With no weight: as `phial ask` searches."""
        found = self.run(library, "search", str(queries), *([] if weight is None else [str(weight)]))
        return {one["_id"]: [document for document, _ in one["documents"]] for one in found}


def reference(options, name, queries, judged):
    import numpy
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(options.embedder), device="cpu")
    corpus = lines(options.data / name / "corpus.jsonl")
    # Cranfield's texts begin with their title.
    texts = [one["text"] if one["text"].startswith(one.get("title", "")) else one["title"] + " " + one["text"] for one in corpus]
    documents = model.encode(texts, normalize_embeddings=True, batch_size=32)
    asked = lines(options.data / name / queries)
    vectors = model.encode([one["text"] for one in asked], normalize_embeddings=True, batch_size=32)
    rankings = {}
    for one, row in zip(asked, vectors @ documents.T):
        rankings[one["_id"]] = [corpus[i]["_id"] for i in numpy.argsort(-row, kind="stable")[:100]]
    return score(rankings, judged)


def overlaps(a, b):
    return min(a[1], b[1]) - max(a[0], b[0]) > min(a[1] - a[0], b[1] - b[0]) / 2


def citation_pairs(options, probe, library, queries):
    """For each claim and abstract with evidence: gold sentence spans and the check's ranked spans, in bytes."""
    corpus = {one["_id"]: one for one in lines(options.data / "scifact/corpus.jsonl")}
    claims = {one["_id"]: one for one in lines(options.data / "scifact" / queries)}
    pairs = []
    for one in probe.run(library, "evidence", str(options.data / "scifact" / queries)):
        document = corpus[one["document"]]
        spans, start = [], 0
        for end in document["sent_ends"]:
            spans.append((len(document["text"][:start].encode()), len(document["text"][:end].encode())))
            start = end + 1
        gold = {n for group in claims[one["_id"]]["evidence"][one["document"]] for n in group["sentences"]}
        pairs.append(([spans[n] for n in sorted(gold)], one["sentences"]))
    return pairs


def citations(pairs, share, threshold, at_most):
    """Precision and recall over sentences, where the check names up to `at_most` sentences near the best one."""
    right = named = wanted = 0
    for gold, ranked in pairs:
        by = sorted(ranked, key=lambda s: -((1 - share) * s[3] + share * s[4]))
        best = (1 - share) * by[0][3] + share * by[0][4] if by else 0
        chosen = [s for s in by[:at_most] if (1 - share) * s[3] + share * s[4] >= threshold * best]
        hit = [any(overlaps(s, g) for g in gold) for s in chosen]
        right += sum(hit)
        named += len(chosen)
        wanted += len(gold)
    found = sum(any(overlaps(g, s) for s in sorted(r, key=lambda s: -((1 - share) * s[3] + share * s[4]))[:at_most]
                    if (1 - share) * s[3] + share * s[4] >= threshold * max((1 - share) * x[3] + share * x[4] for x in r))
                for gs, r in pairs for g in gs)
    return {"precision": round(right / named, 4), "recall": round(found / wanted, 4), "named": named, "gold": wanted}


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


def no_information(options, probe, library, queries):
    """How well the confidence tells claims that some abstract settles from those that none does."""
    labels = {one["_id"]: one["label"] != "NOT_ENOUGH_INFO" for one in lines(options.data / "scifact" / queries)}
    seen = {one["_id"]: one["confidence"] for one in probe.run(library, "signs", str(options.data / "scifact" / queries))}
    return auroc([seen[q] for q in seen if labels[q]], [seen[q] for q in seen if not labels[q]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--work", type=Path, default=ROOT / "build/retrieval")
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--tune", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    probe = Probe(options)
    report = {}
    for name, (folder, queries, qrels) in SETS.items():
        if name == "scifact_train" and not options.tune:
            continue
        judged = judgments(options.data / folder / qrels)
        asked = options.data / folder / queries
        library = probe.library(folder, whole=False)
        row = report[name] = {}
        if options.tune and name == "scifact_train":
            for weight in (0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1):
                row[f"fused_{weight}"] = score(probe.rank(library, asked, weight), judged)
            pairs = citation_pairs(options, probe, library, queries)
            for share in (0.4, 0.5, 0.6, 0.7, 0.8, 1.0):
                for threshold in (0.7, 0.8, 0.9, 1.0):
                    row[f"citations_{share}_{threshold}"] = citations(pairs, share, threshold, 3)
            row["no_information_auroc"] = no_information(options, probe, library, queries)
            continue
        row["words"] = score(probe.rank(library, asked, 0), judged)
        row["vectors"] = score(probe.rank(library, asked, 1), judged)
        row["fused"] = score(probe.rank(library, asked), judged)
        row["vectors_whole"] = score(probe.rank(probe.library(folder, whole=True), asked, 1), judged)
        if options.reference:
            row["sentence_transformers"] = reference(options, folder, queries, judged)
        if name == "scifact":
            pairs = citation_pairs(options, probe, library, queries)
            row["citations_best_sentence"] = citations(pairs, 0.6, 1.0, 1)
            row["citations_up_to_3"] = citations(pairs, 0.6, 0.8, 3)
            row["no_information_auroc"] = no_information(options, probe, library, queries)
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
