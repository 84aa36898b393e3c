#!/usr/bin/env python3
"""Teaches a sentence encoder to read: a LoRA adapter with which it finds the answer to a question in a passage, or says
that there is none (phial/model/span_reader.h). Writes the adapter as peft does, in f16.

    build/peers/st/bin/pip install peft        # beside what bench/peers/install puts there
    build/peers/st/bin/python tools/train_reader.py --encoder build/home/models/all-MiniLM-L6-v2 --out READER \\
        --spans SQUAD.json ... --sentences PAIRS.jsonl ... [--held SQUAD.json]

`--spans` are files in SQuAD's form, questions marked is_impossible included; `--sentences` hold {"question", "sentence"},
the sentence that answers it. Questions without an answer are made besides, as a library has them: a question beside a
passage that retrieval would find near it but that does not hold its answer, and beside its own passage without the
sentences that do; one of the two where people wrote questions without an answer about the passage, which teach more.
`--held` is never trained on; of it the tool prints how well answerable questions are told from others (AUROC). The same
arguments on the same machine give the same adapter.
"""

import argparse
import json
import os
import random
import re
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import peft  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

LONGEST_TRAINED, LONGEST_READ, LONGEST_SPAN = 288, 384, 30  # tokens; the latter two are phial/rag/extractive_reader.cc's
NEAR = 8  # of so many nearest passages one is taken as a passage without the answer
NONE = -1e4


class Example:
    """`spans`: characters of the passage; empty: it holds no answer. `whole`: a span is the sentence that holds it."""

    def __init__(self, question, passage, spans=(), whole=False):
        self.question, self.passage, self.spans, self.whole = question, passage, list(spans), whole


def read_squad(path):
    for article in json.loads(Path(path).read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for one in paragraph["qas"]:
                yield paragraph["context"], one["question"], [] if one.get("is_impossible") else [a["text"] for a in one["answers"]]


def places(text, answers):
    return [match.span() for answer in answers if answer for match in re.finditer(re.escape(answer), text)]


def holds(text, answers):
    return any(answer.lower() in text.lower() for answer in answers)


def sentences_of(text):
    return [one for one in re.split(r"(?<=[.!?])\s+(?=[\"'(A-Z0-9])", text) if one.strip()]


class Encoder:
    """The vectors that retrieval compares."""

    def __init__(self, folder):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.net = transformers.AutoModel.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="eager").eval()

    @torch.inference_mode()
    def vectors(self, texts):
        out = torch.empty(len(texts), self.net.config.hidden_size)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for first in range(0, len(order), 64):
            ids = order[first:first + 64]
            batch = self.tokenizer([texts[i] for i in ids], padding=True, truncation=True, max_length=128, return_tensors="pt")
            hidden, mask = self.net(**batch).last_hidden_state.float(), batch["attention_mask"].unsqueeze(-1)
            out[ids] = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
        return out

    def nearest(self, questions, texts):
        """For each question the texts next to it, nearest first."""
        wanted, vectors = self.vectors(questions), self.vectors(texts)
        for first in range(0, len(questions), 1024):
            for row in (wanted[first:first + 1024] @ vectors.T).topk(min(NEAR + 4, len(texts))).indices.tolist():
                yield [texts[i] for i in row]


def span_examples(known, rows, encoder, rng):
    """Of `rows`; passages without an answer are taken from those of all `known` ones."""
    contexts = sorted({context for context, _, _ in known})
    asked = {context for context, _, answers in known if not answers}
    for (context, question, answers), near in zip(rows, encoder.nearest([row[1] for row in rows], contexts)):
        if not answers:
            yield from [Example(question, context)] * 2  # rarer than those that are made, and harder
            continue
        spans = places(context, answers)
        if not spans:
            continue
        yield Example(question, context, spans)
        others = [one for one in near if one != context and not holds(one, answers)][:NEAR]
        made = [Example(question, rng.choice(others))] if others else []
        rest = " ".join(one for one in sentences_of(context) if not holds(one, answers))
        if len(rest) > 80:
            made.append(Example(question, rest))
        yield from [rng.choice(made)] if made and context in asked else made


def sentence_examples(known, rows, encoder, rng):
    """Passages put together of sentences that are near to the question, with the one that answers it and without."""
    texts = sorted({sentence for _, sentence in known})
    for (question, sentence), near in zip(rows, encoder.nearest([row[0] for row in rows], texts)):
        others = [one for one in near if sentence not in one][:NEAR]
        before, after = [], rng.sample(others, min(rng.randint(0, 3), len(others)))
        for _ in range(rng.randint(0, len(after))):
            before.append(after.pop())
        start = len(" ".join(before)) + (1 if before else 0)
        yield Example(question, " ".join([*before, sentence, *after]), [(start, start + len(sentence))], whole=True)
        if others:
            yield Example(question, " ".join(rng.sample(others, min(rng.randint(1, 4), len(others)))))


class Batch:
    """Token ids, and which tokens may begin or end an answer; [CLS] stands for none."""

    def __init__(self, tokenizer, examples, longest):
        self.inputs = tokenizer([one.question for one in examples], [one.passage for one in examples], padding=True,
                                truncation="only_second", max_length=longest, return_tensors="pt", return_offsets_mapping=True)
        offsets = self.inputs.pop("offset_mapping")
        in_passage = (self.inputs["token_type_ids"] == 1) & (offsets[..., 1] > offsets[..., 0])
        self.allowed = in_passage.clone()
        self.allowed[:, 0] = True
        self.gold = torch.zeros(2, *in_passage.shape, dtype=torch.bool)
        for i, one in enumerate(examples):
            for low, high in one.spans:
                inside = (in_passage[i] & (offsets[i, :, 0] >= low) & (offsets[i, :, 1] <= high)).nonzero().flatten()
                if len(inside):
                    self.gold[0, i, inside if one.whole else inside[0]] = True
                    self.gold[1, i, inside if one.whole else inside[-1]] = True
        self.gold[:, ~self.gold.any(-1).any(0), 0] = True

    def loss(self, net):
        with torch.autocast("cpu", torch.bfloat16):
            out = net(**self.inputs)
        total = 0
        for logits, gold in zip((out.start_logits, out.end_logits), self.gold):
            chances = F.log_softmax(logits.float().masked_fill(~self.allowed, NONE), dim=1)
            total = total - torch.logsumexp(chances.masked_fill(~gold, NONE), dim=1).mean() / 2
        return total

    @torch.inference_mode()
    def scores(self, net):
        """The best span against none."""
        with torch.autocast("cpu", torch.bfloat16):
            out = net(**self.inputs)
        start, end = (x.float().masked_fill(~self.allowed, NONE) for x in (out.start_logits, out.end_logits))
        none = start[:, 0] + end[:, 0]
        start[:, 0] = end[:, 0] = NONE
        begun = F.pad(start, (LONGEST_SPAN - 1, 0), value=NONE).unfold(1, LONGEST_SPAN, 1).amax(-1)
        return ((begun + end).amax(1) - none).tolist()


def auroc(net, tokenizer, examples):
    scored = []
    for first in range(0, len(examples), 32):
        some = examples[first:first + 32]
        scored += zip(Batch(tokenizer, some, LONGEST_READ).scores(net), (bool(one.spans) for one in some))
    scored.sort()
    ranks = [rank for rank, (_, answerable) in enumerate(scored, 1) if answerable]
    return (sum(ranks) - len(ranks) * (len(ranks) + 1) / 2) / (len(ranks) * (len(scored) - len(ranks)))


def train(net, tokenizer, examples, args, rng):
    weights = [one for one in net.parameters() if one.requires_grad]
    steps = len(examples) // args.batch
    optimizer = torch.optim.AdamW(weights, lr=args.rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min(1, (t + 1) / 100) * max(0.02, 1 - t / steps))
    rng.shuffle(examples)
    batches, pool = [], args.batch * 50  # of like length within a pool
    for first in range(0, len(examples), pool):
        part = sorted(examples[first:first + pool], key=lambda one: len(one.passage))
        cut = [part[i:i + args.batch] for i in range(0, len(part), args.batch)]
        rng.shuffle(cut)
        batches += cut
    began, mean = time.monotonic(), 0.0
    for step, some in enumerate(batches[:steps], 1):
        loss = Batch(tokenizer, some, LONGEST_TRAINED).loss(net)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        mean = loss.item() if step == 1 else 0.98 * mean + 0.02 * loss.item()
        if step % 50 == 0:
            left = (time.monotonic() - began) / step * (steps - step)
            print(f"step {step} of {steps}, loss {mean:.3f}, {left / 60:.0f} minutes left", flush=True)


def save(net, tokenizer_of, out):
    net.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)
    weights = out / "adapter_model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(weights).items()}, weights)
    config = json.loads((out / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = tokenizer_of.name
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--spans", type=Path, nargs="+", required=True)
    parser.add_argument("--sentences", type=Path, nargs="*", default=[])
    parser.add_argument("--held", type=Path, nargs="*", default=[])
    parser.add_argument("--start", type=Path, help="an adapter to go on from, of the same rank")
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--most", type=int, help="questions, drawn from all")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    rng = random.Random(args.seed)

    encoder = Encoder(args.encoder)
    spans = [row for path in args.spans for row in read_squad(path)]
    read = [json.loads(line) for path in args.sentences for line in path.read_text(encoding="utf-8").splitlines()]
    sentences = [(one["question"], one["sentence"]) for one in read]
    share = min(1.0, args.most / (len(spans) + len(sentences))) if args.most else 1.0
    examples = list(span_examples(spans, rng.sample(spans, int(share * len(spans))), encoder, rng))
    if sentences:
        examples += sentence_examples(sentences, rng.sample(sentences, int(share * len(sentences))), encoder, rng)
    print(f"{len(examples)} examples, {sum(not one.spans for one in examples)} of them without an answer", flush=True)

    # Eager: the backward pass of torch's flash attention for CPUs takes several times as long in bf16.
    net = transformers.AutoModelForQuestionAnswering.from_pretrained(
        args.encoder, dtype=torch.bfloat16, attn_implementation="eager", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    if args.start:
        net = peft.PeftModel.from_pretrained(net, args.start, is_trainable=True)
    else:
        net = peft.get_peft_model(net, peft.LoraConfig(
            task_type="QUESTION_ANS", r=args.rank, lora_alpha=args.rank,
            target_modules=["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]))
    for tensor in net.parameters():
        if tensor.requires_grad:
            tensor.data = tensor.data.float()
    train(net, encoder.tokenizer, examples, args, rng)
    save(net, args.encoder, args.out)
    held = [Example(question, context, places(context, answers)) for path in args.held for context, question, answers in read_squad(path)]
    if held:
        print(f"held-out questions {len(held)}, answerable told from others: AUROC {auroc(net.eval(), encoder.tokenizer, held):.4f}")


if __name__ == "__main__":
    main()
