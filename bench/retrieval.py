#!/usr/bin/env python3
"""Retrieval quality on judged sets, by Phial's own code. Prints JSON.

    scripts/build release phial_rag_probe
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
        self.program = str(options.build / "bench/phial_rag_probe")

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
            continue
        row["words"] = score(probe.rank(library, asked, 0), judged)
        row["vectors"] = score(probe.rank(library, asked, 1), judged)
        row["fused"] = score(probe.rank(library, asked), judged)
        row["vectors_whole"] = score(probe.rank(probe.library(folder, whole=True), asked, 1), judged)
        if options.reference:
            row["sentence_transformers"] = reference(options, folder, queries, judged)
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
