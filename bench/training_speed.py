#!/usr/bin/env python3
"""Pretraining beside PyTorch: tokens a second of `phial train pretrain`, of a plain model in PyTorch, eager and compiled,
and of Hugging Face's Trainer, on the same shape, first weights, shards, batch and optimizer. Prints JSON.

    scripts/build release phial phial-train
    build/peers/st/bin/python bench/training_speed.py [--rounds N] [--steps N] [--compute f32,bf16] [--data whole,packed]

All ways take turns: a round is --steps steps of each, the first two of which are not counted (our process begins anew
in each round, the others wait between theirs). A step is all that it takes by the clock: rows read from the shards,
forwards, backwards, clipping, AdamW (fused). `whole`: rows of one document, attention is causal; `packed`: documents of 20 to 500
tokens that do not see each other, with a mask for the peers. bf16: autocast over f32 weights. `loss` is that of the first
round's last step, where all have taken as many: near each other if all train the same. `ratio_*`: our tokens a second over theirs, the median of rounds.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
VOCABULARY = 8192
SHAPE = {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "vocab_size": VOCABULARY, "hidden_size": 320,
         "intermediate_size": 864, "num_hidden_layers": 6, "num_attention_heads": 5, "num_key_value_heads": 5,
         "max_position_embeddings": 1024, "original_max_position_embeddings": 1024, "sliding_window": None,
         "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
RATE, DECAY, BETAS, CLIP = 1e-3, 0.1, (0.9, 0.95), 1.0
UNCOUNTED = 2  # steps of a round
WAYS = ["phial", "eager", "compiled", "trainer"]


def write_shard(path, tokens, is_packed):
    """docs/formats.md, "Token shards". Ids by Zipf's law, each likely to follow from the one before: there is something to learn."""
    rng = np.random.default_rng(0)
    ids = (rng.zipf(1.3, tokens) % (VOCABULARY - 3) + 3).astype("<u2")
    ids[1::2] = (ids[::2][:len(ids[1::2])] * 7 + 11) % (VOCABULARY - 3) + 3
    ends = np.cumsum(rng.integers(20, 500, tokens // 20)) if is_packed else np.array([], dtype=np.int64)
    ends = np.append(ends[ends < tokens], tokens).astype("<u8")
    body = b"PHTOKENS" + struct.pack("<II", 1, 2) + ids.tobytes()
    body += bytes(-len(body) % 8) + ends.tobytes()
    path.write_bytes(body + struct.pack("<QQQII", len(ends), tokens, 0, VOCABULARY, 0) + b"PHTOKEND")


def read_rows(path, width):
    """The rows of a shard: ids, targets (-100 behind a document's end), positions, documents, [rows, width] each."""
    raw = path.read_bytes()
    n_documents, tokens = struct.unpack("<QQ", raw[-40:-24])
    ids = np.frombuffer(raw, "<u2", tokens, 16).astype(np.int64)
    ends = np.frombuffer(raw, "<u8", n_documents, len(raw) - 40 - 8 * n_documents).astype(np.int64)
    targets = np.append(ids[1:], -100)
    targets[ends - 1] = -100
    documents = np.searchsorted(ends, np.arange(tokens), side="right")
    rows = (tokens - 1) // width
    cut = [one[:rows * width].reshape(rows, width) for one in (ids, targets, documents)]
    begins = np.ones_like(cut[2], dtype=bool)
    begins[:, 1:] = cut[2][:, 1:] != cut[2][:, :-1]
    place = np.arange(width)[None]
    positions = place - np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    return cut[0], cut[1], positions, cut[2]


def plain_model(torch, state):
    """A decoder as one writes it in PyTorch, with its own fused functions where it has them."""
    from torch import nn
    from torch.nn import functional as F

    width, heads, ffn = SHAPE["hidden_size"], SHAPE["num_attention_heads"], SHAPE["intermediate_size"]
    each = width // heads

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.input_layernorm = nn.RMSNorm(width, SHAPE["rms_norm_eps"])
            self.post_attention_layernorm = nn.RMSNorm(width, SHAPE["rms_norm_eps"])
            self.self_attn = nn.ModuleDict({"qkv_proj": nn.Linear(width, 3 * width, bias=False),
                                            "o_proj": nn.Linear(width, width, bias=False)})
            self.mlp = nn.ModuleDict({"gate_up_proj": nn.Linear(width, 2 * ffn, bias=False),
                                      "down_proj": nn.Linear(ffn, width, bias=False)})

        def forward(self, x, cos, sin, mask):
            rows, tokens, _ = x.shape
            q, k, v = (part.view(rows, tokens, heads, each).transpose(1, 2)
                       for part in self.self_attn["qkv_proj"](self.input_layernorm(x)).split(width, dim=-1))

            def turned(t):
                first, second = t.chunk(2, -1)
                return torch.cat((first * cos - second * sin, second * cos + first * sin), -1).to(v.dtype)

            mixed = F.scaled_dot_product_attention(turned(q), turned(k), v, mask, is_causal=mask is None)
            x = x + self.self_attn["o_proj"](mixed.transpose(1, 2).reshape(rows, tokens, width))
            gate, up = self.mlp["gate_up_proj"](self.post_attention_layernorm(x)).chunk(2, -1)
            return x + self.mlp["down_proj"](F.silu(gate) * up)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = nn.ModuleDict({"embed_tokens": nn.Embedding(VOCABULARY, width),
                                        "layers": nn.ModuleList(Layer() for _ in range(SHAPE["num_hidden_layers"])),
                                        "norm": nn.RMSNorm(width, SHAPE["rms_norm_eps"])})
            self.lm_head = nn.Linear(width, VOCABULARY, bias=False)
            self.register_buffer("frequencies", 1e4 ** (-torch.arange(0, each, 2) / each), persistent=False)

        def forward(self, ids, targets, positions, documents):
            angles = (positions.unsqueeze(-1) * self.frequencies).unsqueeze(1)
            mask = None
            if documents is not None:
                mask = (documents.unsqueeze(2) == documents.unsqueeze(1)).tril().unsqueeze(1)
            x, cos, sin = self.model["embed_tokens"](ids), angles.cos(), angles.sin()
            for layer in self.model["layers"]:
                x = layer(x, cos, sin, mask)
            logits = self.lm_head(self.model["norm"](x))
            return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())

    model = Model()
    model.load_state_dict(state)
    return model


def gate(seconds, loss):
    """Tells the time of a round, and waits for the next one; the first call waits only."""
    if seconds is not None:
        print(json.dumps({"seconds": seconds, "loss": float(loss)}), file=sys.__stdout__, flush=True)
    if sys.stdin.readline() == "":
        os._exit(0)


def serve_plain(args, torch, is_compiled):
    from transformers import AutoModelForCausalLM

    start = AutoModelForCausalLM.from_pretrained(args.folder / "start", dtype=torch.float32)
    model = plain_model(torch, start.state_dict())
    # As most recipes have it: gains do not decay.
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": DECAY},
              {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, RATE, BETAS, fused=True)
    step = torch.compile(model) if is_compiled else model
    rows = [torch.from_numpy(one) for one in read_rows(args.folder / "shard.tokens", args.tokens)]
    order = torch.randperm(len(rows[0]), generator=torch.Generator().manual_seed(0)).split(args.rows)
    done = 0

    def train():
        nonlocal done
        ids, targets, positions, documents = (one[order[done % (len(order) - 1)]] for one in rows)
        done += 1
        with torch.autocast("cpu", torch.bfloat16, enabled=args.compute == "bf16"):
            loss = step(ids, targets, positions, documents if args.data == "packed" else None)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    seconds = loss = None
    while True:
        gate(seconds, loss)
        for _ in range(UNCOUNTED):
            train()
        start = time.perf_counter()
        for _ in range(args.steps - UNCOUNTED):
            loss = train()
        seconds = time.perf_counter() - start


def serve_trainer(args, torch):
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    model = AutoModelForCausalLM.from_pretrained(args.folder / "start", dtype=torch.float32, attn_implementation="sdpa")
    ids, targets, positions, _ = (torch.from_numpy(one) for one in read_rows(args.folder / "shard.tokens", args.tokens))

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return len(ids)

        def __getitem__(self, i):
            return i

    def batch_of(which):
        # Targets are shifted already: what the loss's own shift takes away is put in front.
        labels = torch.cat((torch.full((len(which), 1), -100), targets[which][:, :-1]), 1)
        batch = {"input_ids": ids[which], "labels": labels}
        return batch | {"position_ids": positions[which]} if args.data == "packed" else batch  # a mask follows from them

    class Turns(TrainerCallback):
        start = loss = None

        def on_step_begin(self, _arguments, state, _control, **_):
            at = state.global_step % args.steps
            if at == 0:
                gate(self.start and time.perf_counter() - self.start, self.loss)
            if at == UNCOUNTED:
                self.start = time.perf_counter()

        def on_log(self, _arguments, _state, _control, logs=None, **_):
            self.loss = logs.get("loss", self.loss)

    arguments = TrainingArguments(
        output_dir=str(args.folder / "trainer"), per_device_train_batch_size=args.rows, max_steps=1_000_000, learning_rate=RATE,
        weight_decay=DECAY, adam_beta1=BETAS[0], adam_beta2=BETAS[1], max_grad_norm=CLIP, lr_scheduler_type="constant", optim="adamw_torch_fused",
        bf16=args.compute == "bf16", use_cpu=True, save_strategy="no", report_to=[], logging_steps=1, disable_tqdm=True)
    Trainer(model=model, args=arguments, train_dataset=Rows(), data_collator=batch_of, callbacks=[Turns()]).train()


def serve(args):
    import torch
    sys.stdout = sys.stderr  # what Trainer logs
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    serve_trainer(args, torch) if args.serve == "trainer" else serve_plain(args, torch, args.serve == "compiled")


def times_of_steps(folder):
    """When each step of a run ended, of TensorBoard's events: a record is its length, a checksum, data, a checksum."""
    raw = next(folder.glob("events.out.tfevents*")).read_bytes()
    at, times = 0, []
    while at < len(raw):
        (length,) = struct.unpack_from("<Q", raw, at)
        times.append(struct.unpack_from("<d", raw, at + 13)[0])  # behind the tag of wall_time
        at += 16 + length
    return times


def run_phial(args, turn):
    out = args.folder / f"phial-{turn}"
    fields = {"model.start": args.folder / "start", "data.shards": [str(args.folder / "shard.tokens")],
              "data.sequence_tokens": args.tokens, "batch.rows": args.rows, "optimizer.lr": RATE, "optimizer.weight_decay": DECAY,
              "optimizer.beta1": BETAS[0], "optimizer.beta2": BETAS[1], "optimizer.clip": CLIP, "schedule.kind": "constant",
              "schedule.warmup_steps": 0, "train.steps": args.steps, "train.compute": args.compute, "train.threads": args.threads,
              "run.peak_tflops": 1, "run.out": out}
    groups = {}
    for name, value in fields.items():
        group, key = name.split(".")
        groups.setdefault(group, []).append(f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}")
    config = args.folder / "run.toml"
    config.write_text("".join(f"[{group}]\n" + "\n".join(lines) + "\n" for group, lines in groups.items()))
    subprocess.run([args.phial, "train", "pretrain", "--config", config], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    times = times_of_steps(out)[-args.steps:]
    last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    return {"seconds": times[-1] - times[UNCOUNTED - 1], "loss": last["loss"]}


def make_start(folder):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    torch.manual_seed(0)
    config = AutoConfig.for_model(**{key: value for key, value in SHAPE.items() if key != "architectures"})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(SHAPE))
    return sum(p.numel() for p in model.parameters())


def measure(args, compute, data):
    args.compute, args.data = compute, data
    write_shard(args.folder / "shard.tokens", 2_000_000, data == "packed")
    served = {}
    for way in args.ways:
        if way != "phial":
            command = [sys.executable, __file__, "--serve", way, "--folder", args.folder, "--compute", compute, "--data", data]
            command += [f"--{key}={getattr(args, key)}" for key in ("rows", "tokens", "steps", "threads")]
            served[way] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if not args.loud else None, text=True)

    def turn_of(way, turn):
        if way == "phial":
            return run_phial(args, f"{compute}-{data}-{turn}")
        served[way].stdin.write("\n")
        served[way].stdin.flush()
        line = served[way].stdout.readline()
        if not line:
            sys.exit(f"{way} ended early: --loud shows why")
        return json.loads(line)

    found, first = {way: [] for way in args.ways}, {}
    for turn in range(-1, args.rounds):  # one more, in which the peers compile and warm up
        for way in args.ways:
            one = turn_of(way, turn)
            first.setdefault(way, one["loss"])
            if turn >= 0:
                found[way].append(one)
        print(f"# round {turn + 1} of {args.rounds}, {compute} {data}", file=sys.stderr, flush=True)
    for peer in served.values():
        peer.stdin.close()
        peer.wait()
    tokens = args.rows * args.tokens * (args.steps - UNCOUNTED)
    row = {"compute": compute, "data": data}
    for way, turns in found.items():
        row[f"{way}_tokens_per_second"] = round(statistics.median(tokens / one["seconds"] for one in turns))
        row[f"{way}_loss"] = round(first[way], 3)
    for way in args.ways:
        if way != "phial" and "phial" in args.ways:
            each = [theirs["seconds"] / ours["seconds"] for ours, theirs in zip(found["phial"], found[way])]
            row[f"ratio_{way}"] = round(statistics.median(each), 3)
            row[f"ratios_{way}"] = [round(one, 3) for one in each]
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="of a round")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=512, help="of a row")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compute", default="f32,bf16")
    parser.add_argument("--data", default="whole,packed")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--phial", default=ROOT / "build/release/bin/phial")
    parser.add_argument("--loud", action="store_true", help="show what the peers say")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args)
        return
    args.ways = args.ways.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        args.folder = Path(scratch)
        weights = make_start(args.folder / "start")
        rows = [measure(args, compute, data) for compute in args.compute.split(",") for data in args.data.split(",")]
    print(json.dumps({"threads": args.threads, "rounds": args.rounds, "steps": args.steps - UNCOUNTED, "batch": [args.rows, args.tokens],
                      "weights": weights, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
