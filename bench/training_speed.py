#!/usr/bin/env python3
"""Pretraining beside PyTorch: tokens a second of `phial train pretrain`, of a plain model in PyTorch, eager and compiled,
and of Hugging Face's Trainer, on the same shape, first weights, shards, batch and optimizer. Prints JSON.

    scripts/build release phial phial-train
    build/peers/st/bin/python bench/training_speed.py [--rounds N] [--steps N] [--compute f32,bf16] [--data whole,packed]

    scripts/build cuda phial-train
    python3 bench/training_speed.py --device cuda --shape 1b --phial build/cuda/bin/phial-train [--ways ...]

All ways take turns: a round is --steps steps of each, the first two of which are not counted (our process begins anew
in each round, the others wait between theirs). A step is all that it takes by the clock: rows read from the shards,
forwards, backwards, clipping, AdamW (fused). `whole`: rows of one document, attention is causal; `packed`: documents of 20 to 500
tokens that do not see each other, with a mask for the peers. bf16: autocast over f32 weights. `loss` is that of the first
round's last step, where all have taken as many: near each other if all train the same. `ratio_*`: our tokens a second over theirs, the median of rounds.

With --device cuda each way has the GPU alone: its process begins anew for each turn, and ours has one more turn at the end of a round. All take
--rows rows a step, cut into as many as --micro gives a way at once; peers whose memory does not hold them take half, and half of that. `mfu`: as
phial/train/utilization.h counts, of --peak-tflops.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHARED = {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "sliding_window": None, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
          "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def shape(vocabulary, width, ffn, layers, heads, context):
    return SHARED | {"vocab_size": vocabulary, "hidden_size": width, "intermediate_size": ffn, "num_hidden_layers": layers, "num_attention_heads": heads,
                     "num_key_value_heads": heads, "max_position_embeddings": context, "original_max_position_embeddings": context}


SHAPES = {"13m": shape(8192, 320, 864, 6, 5, 1024), "1b": shape(32064, 2304, 6144, 16, 24, 4096)}
RATES = {"13m": 1e-3, "1b": 1e-4}
DECAY, BETAS, CLIP = 0.1, (0.9, 0.95), 1.0
UNCOUNTED = 2  # steps of a round
WAYS = ["phial", "eager", "compiled", "trainer"]  # and "autotuned": compiled with max-autotune-no-cudagraphs
SECONDS_OF_A_TURN = 150  # on a GPU


def write_shard(path, tokens, vocabulary, is_packed):
    """docs/formats.md, "Token shards". Ids by Zipf's law, each likely to follow from the one before: there is something to learn."""
    rng = np.random.default_rng(0)
    ids = (rng.zipf(1.3, tokens) % (vocabulary - 3) + 3).astype("<u2")
    ids[1::2] = (ids[::2][:len(ids[1::2])] * 7 + 11) % (vocabulary - 3) + 3
    ends = np.cumsum(rng.integers(20, 500, tokens // 20)) if is_packed else np.array([], dtype=np.int64)
    ends = np.append(ends[ends < tokens], tokens).astype("<u8")
    body = b"PHTOKENS" + struct.pack("<II", 1, 2) + ids.tobytes()
    body += bytes(-len(body) % 8) + ends.tobytes()
    path.write_bytes(body + struct.pack("<QQQII", len(ends), tokens, 0, vocabulary, 0) + b"PHTOKEND")


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


def plain_model(torch, args):
    """A decoder as one writes it in PyTorch, with its own fused functions where it has them."""
    from safetensors.torch import load_file
    from torch import nn
    from torch.nn import functional as F

    sizes = SHAPES[args.shape]
    width, heads, ffn, eps = (sizes[key] for key in ("hidden_size", "num_attention_heads", "intermediate_size", "rms_norm_eps"))
    each = width // heads

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.input_layernorm = nn.RMSNorm(width, eps)
            self.post_attention_layernorm = nn.RMSNorm(width, eps)
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
            self.model = nn.ModuleDict({"embed_tokens": nn.Embedding(sizes["vocab_size"], width),
                                        "layers": nn.ModuleList(Layer() for _ in range(sizes["num_hidden_layers"])),
                                        "norm": nn.RMSNorm(width, eps)})
            self.lm_head = nn.Linear(width, sizes["vocab_size"], bias=False)
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

    with torch.device(args.device):
        model = Model()
    model.load_state_dict(load_file(args.folder / "start" / "model.safetensors", device=args.device))
    return model


def gate(seconds, loss):
    """Tells the time of a round, and waits for the next one; the first call waits only."""
    if seconds is not None:
        print(json.dumps({"seconds": seconds, "loss": float(loss)}), file=sys.__stdout__, flush=True)
    if sys.stdin.readline() == "":
        os._exit(0)


def wait_for_device(torch, args):
    if args.device == "cuda":
        torch.cuda.synchronize()


def serve_plain(args, torch):
    model = plain_model(torch, args)
    # As most recipes have it: gains do not decay.
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": DECAY},
              {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, RATES[args.shape], BETAS, fused=True)
    modes = {"compiled": "default", "autotuned": "max-autotune-no-cudagraphs"}
    step = torch.compile(model, mode=modes[args.serve]) if args.serve in modes else model
    rows = [torch.from_numpy(one).to(args.device) for one in read_rows(args.folder / "shard.tokens", args.tokens)]
    order = torch.randperm(len(rows[0]), generator=torch.Generator().manual_seed(0)).split(args.rows)
    done, micro = 0, args.micro

    def forwards_and_backwards(which):
        total = 0
        for part in which.to(args.device).split(micro):
            ids, targets, positions, documents = (one[part] for one in rows)
            with torch.autocast(args.device, torch.bfloat16, enabled=args.compute == "bf16"):
                loss = step(ids, targets, positions, documents if args.data == "packed" else None)
            share = len(part) / len(which)
            (loss if share == 1 else loss * share).backward()
            total = total + loss.detach() * share
        return total

    def train():
        nonlocal done, micro
        which = order[done % (len(order) - 1)]
        done += 1
        loss = None
        while loss is None:
            try:
                loss = forwards_and_backwards(which)
            except torch.OutOfMemoryError:
                if done > 1 or micro == 1:
                    raise
            if loss is None:  # outside of the handler, which keeps what was computed
                micro //= 2
                optimizer.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item() if args.device == "cpu" else loss  # a GPU is not waited for

    seconds = loss = None
    while True:
        gate(seconds, loss)
        for _ in range(UNCOUNTED):
            train()
        wait_for_device(torch, args)
        start = time.perf_counter()
        for _ in range(args.steps - UNCOUNTED):
            loss = train()
        wait_for_device(torch, args)
        seconds = time.perf_counter() - start
        if args.device == "cuda":
            print(f"{args.serve}: {micro} rows at once, {torch.cuda.max_memory_reserved() >> 20} MiB", file=sys.stderr)


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
            if at in (0, UNCOUNTED):
                wait_for_device(torch, args)
            if at == 0:
                gate(self.start and time.perf_counter() - self.start, self.loss)
            if at == UNCOUNTED:
                self.start = time.perf_counter()

        def on_log(self, _arguments, _state, _control, logs=None, **_):
            self.loss = logs.get("loss", self.loss)

    arguments = TrainingArguments(
        output_dir=str(args.folder / "trainer"), per_device_train_batch_size=args.micro, gradient_accumulation_steps=args.rows // args.micro,
        max_steps=1_000_000, learning_rate=RATES[args.shape],
        weight_decay=DECAY, adam_beta1=BETAS[0], adam_beta2=BETAS[1], max_grad_norm=CLIP, lr_scheduler_type="constant", optim="adamw_torch_fused",
        bf16=args.compute == "bf16", use_cpu=args.device == "cpu", save_strategy="no", report_to=[], disable_tqdm=True,
        logging_steps=1 if args.device == "cpu" else args.steps)
    Trainer(model=model, args=arguments, train_dataset=Rows(), data_collator=batch_of, callbacks=[Turns()]).train()


def serve(args):
    import torch
    sys.stdout = sys.stderr  # what Trainer logs
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.serve == "start":
        make_start(args, torch)
    elif args.serve == "trainer":
        serve_trainer(args, torch)
    else:
        serve_plain(args, torch)


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
              "data.sequence_tokens": args.tokens, "batch.rows": args.micro_of["phial"], "batch.accumulate": args.rows // args.micro_of["phial"],
              "optimizer.lr": RATES[args.shape], "optimizer.weight_decay": DECAY,
              "optimizer.beta1": BETAS[0], "optimizer.beta2": BETAS[1], "optimizer.clip": CLIP, "schedule.kind": "constant",
              "schedule.warmup_steps": 0, "train.steps": args.steps, "train.compute": args.compute, "train.threads": args.threads,
              "train.device": args.device, "run.peak_tflops": args.peak_tflops, "run.out": out}
    if args.device == "cuda":
        fields |= {"train.steps": 100 * args.steps, "run.snapshot_every": 100 * args.steps}  # it is ended before it writes 19 GB
    groups = {}
    for name, value in fields.items():
        group, key = name.split(".")
        groups.setdefault(group, []).append(f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}")
    config = args.folder / "run.toml"
    config.write_text("".join(f"[{group}]\n" + "\n".join(lines) + "\n" for group, lines in groups.items()))
    verb = ["pretrain"] if Path(args.phial).name == "phial-train" else ["train", "pretrain"]
    process = subprocess.Popen([args.phial, *verb, "--config", config], stdout=subprocess.DEVNULL, stderr=None if args.loud else subprocess.DEVNULL)
    metrics, until = out / "metrics.jsonl", time.monotonic() + SECONDS_OF_A_TURN
    while args.device == "cuda" and process.poll() is None:
        if time.monotonic() > until or (metrics.exists() and metrics.read_text().count("\n") >= args.steps):
            process.kill()
        time.sleep(0.02)
    if process.wait() != 0 and args.device == "cpu":
        sys.exit("phial ended early: --loud shows why")
    lines = metrics.read_text().splitlines()[:args.steps] if metrics.exists() else []
    if len(lines) < args.steps:
        return None
    times = times_of_steps(out)
    times = times[-args.steps:] if args.device == "cpu" else times[:args.steps]
    return {"seconds": times[-1] - times[UNCOUNTED - 1], "loss": json.loads(lines[-1])["loss"]}


def make_start(args, torch):
    """First weights of all ways; for a GPU in bf16, half the bytes to read so often."""
    from transformers import AutoConfig, AutoModelForCausalLM
    sizes, folder = SHAPES[args.shape], args.folder / "start"
    config = AutoConfig.for_model(**{key: value for key, value in sizes.items() if key != "architectures"})
    with torch.device(args.device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32 if args.device == "cpu" else torch.bfloat16)
    model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(sizes))
    name = torch.cuda.get_device_name() if args.device == "cuda" else ""
    print(json.dumps({"weights": sum(p.numel() for p in model.parameters()), "gpu": name}), file=sys.__stdout__)


def operations_of_a_token(sizes, tokens):
    """phial/train/utilization.h."""
    width, layers = sizes["hidden_size"], sizes["num_hidden_layers"]
    matrices = layers * (4 * width**2 + 3 * width * sizes["intermediate_size"]) + sizes["vocab_size"] * width
    return 6 * matrices + 12 * layers * width * (tokens + 1) / 2


def start_peer(args, way):
    command = [sys.executable, __file__, "--serve", way, "--folder", args.folder, "--compute", args.compute, "--data", args.data]
    command += [f"--{key}={getattr(args, key)}" for key in ("rows", "tokens", "steps", "threads", "device", "shape")]
    command += [f"--micro={args.micro_of.get(way, args.rows)}"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None if args.loud else subprocess.DEVNULL, text=True)


def turn_of_peer(process):
    """None: it ended early."""
    process.stdin.write("\n")
    process.stdin.flush()
    line = process.stdout.readline()
    return json.loads(line) if line else None


def measure_on_gpu(args, compute, data):
    args.compute, args.data = compute, data
    tokens = args.rows * args.tokens
    write_shard(args.folder / "shard.tokens", 2 * (args.steps + 2) * tokens, SHAPES[args.shape]["vocab_size"], data == "packed")
    row, turns = {"compute": compute, "data": data}, {}
    for turn in range(args.rounds):
        for place, way in enumerate([*args.ways, "phial"] if "phial" in args.ways and len(args.ways) > 1 else args.ways):
            began = time.monotonic()
            if way == "phial":
                one = run_phial(args, f"{compute}-{data}-{turn}-{place}")
            else:
                peer = start_peer(args, way)
                limit = threading.Timer(SECONDS_OF_A_TURN, peer.kill)
                limit.start()
                one = turn_of_peer(peer)
                peer.stdin.close()
                peer.wait()
                limit.cancel()
            if one is not None:
                turns.setdefault(way, []).append(tokens * (args.steps - UNCOUNTED) / one["seconds"])
                row.setdefault(f"{way}_loss", round(one["loss"], 3))
            print(f"# {way}: {json.dumps(one)}, {time.monotonic() - began:.0f} s in all", file=sys.stderr, flush=True)
    for way, speeds in turns.items():
        row[f"{way}_tokens_per_second"] = round(statistics.median(speeds))
        row[f"{way}_all"] = [round(one) for one in speeds]
        row[f"{way}_mfu"] = round(statistics.median(speeds) * operations_of_a_token(SHAPES[args.shape], args.tokens) / args.peak_tflops / 1e12, 4)
        row[f"{way}_rows_at_once"] = args.micro_of.get(way, args.rows)
        if way != "phial" and "phial" in turns:
            row[f"ratio_{way}"] = round(statistics.median(turns["phial"]) / statistics.median(speeds), 3)
    return row


def measure(args, compute, data):
    args.compute, args.data = compute, data
    write_shard(args.folder / "shard.tokens", 2_000_000, SHAPES[args.shape]["vocab_size"], data == "packed")
    served = {way: start_peer(args, way) for way in args.ways if way != "phial"}

    def turn_of(way, turn):
        one = run_phial(args, f"{compute}-{data}-{turn}") if way == "phial" else turn_of_peer(served[way])
        return one or sys.exit(f"{way} ended early: --loud shows why")

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
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--shape", choices=SHAPES, default="13m")
    parser.add_argument("--micro", default="", help="with cuda: rows at once, as phial=8,eager=4; --rows where a way is not named")
    parser.add_argument("--peak-tflops", type=float, default=None, help="of the device, for MFU; with cuda: 989")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = {word.split("=")[0] for word in sys.argv[1:]}
    args = parser.parse_args()
    if args.device == "cuda":
        on_gpu = {"rounds": 1, "rows": 16, "tokens": 4096, "compute": "bf16", "data": "whole"}
        vars(args).update({key: value for key, value in on_gpu.items() if f"--{key}" not in given})
    if args.serve:
        args.micro = int(args.micro or args.rows)
        serve(args)
        return
    args.peak_tflops = args.peak_tflops or (989 if args.device == "cuda" else 1)
    args.micro_of = {way: int(rows) for way, rows in (one.split("=") for one in args.micro.split(",") if one)}
    args.micro_of.setdefault("phial", args.rows)
    args.ways = args.ways.split(",")
    measure_all = measure_on_gpu if args.device == "cuda" else measure
    with tempfile.TemporaryDirectory() as scratch:
        args.folder = Path(scratch)
        command = [sys.executable, __file__, "--serve", "start", "--folder", scratch, f"--device={args.device}", f"--shape={args.shape}", f"--threads={args.threads}"]
        start = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=None if args.loud else subprocess.DEVNULL).stdout)
        rows = [measure_all(args, compute, data) for compute in args.compute.split(",") for data in args.data.split(",")]
    print(json.dumps({"device": start["gpu"] or "cpu", "threads": args.threads, "rounds": args.rounds, "steps": args.steps - UNCOUNTED,
                      "batch": [args.rows, args.tokens], "weights": start["weights"], "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
