#!/usr/bin/env python3
"""Compares Phial's tokenizers with their reference implementations on random texts (for developers; not part of make test).

Needs tokenizers, transformers, sentencepiece and tiktoken, and build/release/bench/phial_tokenizer_probe:

    scripts/build release phial_tokenizer_probe
    python3 tools/check_tokenizers.py [--texts 2000] [--seed 1] [--models DIR] [--only NAME]

The tokenizers are those of testdata/tokenizers and of DIR (all-MiniLM-L6-v2 as `make models` fetches it), variants of them
with other pipelines, and models trained here on the spot. Code points that Python's Unicode tables do not know yet are
left out: the references follow newer versions of Unicode than distributions do. Where the reference's own tables are of
2015 (BERT's accents, punctuation and control characters), code points younger than Unicode 3.2 are left out.
"""

import argparse
import base64
import json
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROBE = ROOT / "build/release/bench/phial_tokenizer_probe"
DATA = ROOT / "testdata/tokenizers"

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

PARTS = [" ", "  ", "\n", "\r\n", "\t", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u2003", "\u3000", "\u180e", "\u200b", "\u200d",
         "\ufeff", "'s", "'S", "'ll", "'RE", "'\u017f", "'", "1", "42", "1984", "½", "٤", "a", "The", "word", "Äpfel", "中", "日本",
         "हि", "ไทย", "🙂", "👩\u200d👧", ".", "...", "!?", "<|", "|>", "_", "e\u0301", "İ", "ﬁ", "Å", "\ufffd", "don't", "re-do",
         "hello", " world", "naïve", "CAFÉ", "ß", "Σ", "ς", "x" * 120, "\x00", "~", "`", "$5", "한국어", "か\u3099"]


def random_text(rng, tables=unicodedata):
    known = []
    while len(known) < 12:
        c = chr(rng.randrange(0x110000))
        if tables.category(c) not in ("Cs", "Cn", "Co"):
            known.append(c)
    words = [rng.choice(PARTS) if rng.random() < 0.7 else
             rng.choice(known) if rng.random() < 0.5 else
             "".join(rng.choice("etaoin shrdlu\n.,'0123456789ABC") for _ in range(rng.randrange(1, 12)))
             for _ in range(rng.randrange(0, 30))]
    return "".join(w for w in words if w != "▁")


def ask(model, texts, **options):
    requests = "".join(json.dumps({"text": t, **options}) + "\n" for t in texts)
    done = subprocess.run([PROBE, model], input=requests, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{model}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def gguf_metadata(path):
    import gguf
    reader = gguf.GGUFReader(path)
    return {key: field.contents() for key, field in reader.fields.items() if key.startswith("tokenizer.")}


def byte_bpe(gguf_path, pre_tokenizer, normalizer=None, ignore_merges=False):
    meta = gguf_metadata(gguf_path)
    tokens = meta["tokenizer.ggml.tokens"]
    special = [i for i, kind in enumerate(meta["tokenizer.ggml.token_type"]) if kind == 3]
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": True} for i in special],
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": None,
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "ignore_merges": ignore_merges, "vocab": {t: i for i, t in enumerate(tokens)},
                      "merges": meta["tokenizer.ggml.merges"]}}


def byte_level(use_regex):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def regex_then_bytes(regex, behavior="Isolated", invert=False):
    split = {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}
    return {"type": "Sequence", "pretokenizers": [split, byte_level(False)]}


def byte_level_cases():
    gpt2 = DATA / "ggml-vocabs/ggml-vocab-gpt-2.gguf"
    digits = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level(True)]}
    yield "gpt2", byte_bpe(gpt2, byte_level(True))
    yield "smollm", byte_bpe(gpt2, digits)
    yield "llama3", byte_bpe(gpt2, regex_then_bytes(LLAMA3), ignore_merges=True)
    yield "llama3-parenthesised", byte_bpe(gpt2, regex_then_bytes("(" + LLAMA3.replace("|[^", ")|[^", 1)))
    yield "qwen2", byte_bpe(gpt2, regex_then_bytes(LLAMA3.replace("{1,3}", "")), {"type": "NFC"})
    yield "gpt4o", byte_bpe(gpt2, regex_then_bytes(GPT4O, "Removed", True))
    yield "nfkc-lowercase", byte_bpe(gpt2, byte_level(True), {"type": "Sequence", "normalizers": [
        {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "StripAccents"}, {"type": "Replace", "pattern": {"String": "the"},
                                                                             "content": "THE"}]})


def llama_json(prefix):
    """The SentencePiece vocabulary as tokenizer.json, with merges found as transformers' converter finds them."""
    meta = gguf_metadata(DATA / "ggml-vocabs/ggml-vocab-phi-3.gguf")
    tokens, kinds = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    scores = meta["tokenizer.ggml.scores"]
    vocab = {t: i for i, t in enumerate(tokens)}
    merges = []
    for piece, i in vocab.items():
        if kinds[i] != 1:
            continue
        local = [(vocab[piece[:k]], vocab[piece[k:]], piece[:k], piece[k:]) for k in range(1, len(piece))
                 if piece[:k] in vocab and piece[k:] in vocab]
        merges += [(a, b, scores[i]) for _, _, a, b in sorted(local)]
    merges.sort(key=lambda m: -m[2])
    normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                                                      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    pre = None
    if prefix:
        normalizer = None
        pre = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": prefix, "split": prefix == "always"}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": tokens[i], "single_word": False, "lstrip": False,
                              "rstrip": i in (2, 32001, 32010), "normalized": False, "special": True}
                             for i, kind in enumerate(kinds) if kind in (3, 4) or i == 0],
            "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": None, "decoder": None,
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                      "vocab": {t: i for t, i in vocab.items() if i < 32000}, "merges": [[a, b] for a, b, _ in merges]}}


def wordpiece_cases(models):
    path = models / "all-MiniLM-L6-v2/tokenizer.json"
    if not path.exists():
        print(f"wordpiece left out: no {path}")
        return
    spec = json.loads(path.read_text())
    spec["truncation"] = spec["padding"] = None
    yield "wordpiece", spec
    for name, lower, strip, clean, chinese in (("cased", False, False, True, True), ("lower-with-accents", True, False, True, False),
                                               ("cased-stripped", False, True, True, True), ("raw", False, False, False, False)):
        other = json.loads(json.dumps(spec))
        other["normalizer"].update(lowercase=lower, strip_accents=strip, clean_text=clean, handle_chinese_chars=chinese)
        yield "wordpiece-" + name, other


def trained_sentencepiece(folder, kind, rng):
    import sentencepiece
    corpus = folder / "corpus.txt"
    words = (ROOT / "LICENSE").read_text().split()
    extra = "Äpfel über naïve CAFÉ 中文 日本語 かな हिन्दी ไทย émigré ﬁne ½ ①②③ ＡＢＣ don't".split()
    corpus.write_text("\n".join(" ".join(rng.choice(words + extra * 5) for _ in range(12)) for _ in range(4000)))
    prefix = folder / kind
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(prefix), model_type=kind, vocab_size=1500, hard_vocab_limit=False,
        character_coverage=0.9995, byte_fallback=kind == "bpe", minloglevel=2)
    return prefix.with_suffix(".model")


def xlm_r_json(model):
    """A trained unigram model in the pipeline of XLM-R's tokenizer.json."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as messages
    proto = messages.ModelProto()
    proto.ParseFromString(model.read_bytes())
    vocab = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]]
    vocab += [[p.piece, p.score] for p in proto.pieces if p.type == 1]
    charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    special = [{"id": i, "content": vocab[i][0], "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for i in range(4)]
    for name, pre in (("xlm-r", {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]}),
            ("xlm-r-metaspace", {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True})):
        yield name, {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
                     "normalizer": {"type": "Sequence", "normalizers": [
                         {"type": "Precompiled", "precompiled_charsmap": charsmap},
                         {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
                     "pre_tokenizer": pre, "post_processor": None, "decoder": None,
                     "model": {"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": False}}


class Check:
    def __init__(self, count, seed, only):
        rng = random.Random(seed)
        self.texts = [random_text(rng) for _ in range(count)]
        self.old_texts = [random_text(rng, unicodedata.ucd_3_2_0) for _ in range(count)]
        self.only, self.failures = only, 0

    def run(self, name, model, reference, **options):
        if self.only and self.only not in name:
            return
        texts = self.old_texts if name.startswith(("wordpiece", "nfkc")) else self.texts
        answers = ask(model, texts, **options)
        wrong = [(t, a["ids"], reference(t)) for t, a in zip(texts, answers) if a["ids"] != reference(t)]
        print(f"{name}: {len(texts) - len(wrong)} of {len(texts)} equal", flush=True)
        for text, ours, theirs in wrong[:3]:
            print(f"  {text!r}\n    phial     {ours}\n    reference {theirs}")
        self.failures += len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", type=Path, default=ROOT / "build/home/models")
    parser.add_argument("--only", help="run only the checks whose name contains this")
    args = parser.parse_args()
    import sentencepiece
    import tiktoken
    import tokenizers
    check = Check(args.texts, args.seed, args.only)
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        trained = {kind: trained_sentencepiece(folder, kind, rng) for kind in ("bpe", "unigram")}
        specs = [*byte_level_cases(), ("llama-prepend", llama_json(None)), ("llama-metaspace-first", llama_json("first")),
                 ("llama-metaspace-split", llama_json("always")), *wordpiece_cases(args.models),
                 *xlm_r_json(trained["unigram"])]
        for name, spec in specs:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(spec))
            theirs = tokenizers.Tokenizer.from_file(str(path))
            check.run(name, path, lambda t, x=theirs: x.encode(t, add_special_tokens=False).ids)
        for name, path in (("phi3.model", DATA / "phi3/tokenizer.model"), ("trained-bpe.model", trained["bpe"]),
                           ("trained-unigram.model", trained["unigram"])):
            theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
            check.run(name, path, lambda t, x=theirs: x.encode(t))
        ranks = DATA / "phi3-small/cl100k_base.tiktoken"
        vectors = json.loads((DATA / "phi3-small/vectors.json").read_text())
        table = {base64.b64decode(piece): int(rank) for piece, rank in (line.split() for line in ranks.open())}
        theirs = tiktoken.Encoding("phi3-small", pat_str=vectors["pat_str"], mergeable_ranks=table,
                                   special_tokens=vectors["special_tokens"])
        check.run("phi3-small", ranks, theirs.encode_ordinary)
        check.run("phi3-small-special", ranks, lambda t: theirs.encode(t, allowed_special="all"), special=True)
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
