#!/usr/bin/env python3
"""Writes testdata/train/mup.json: what the package mup (of muP's authors) makes of a small decoder (for developers).

Needs mup beside what bench/peers/install puts into build/peers/st: build/peers/st/bin/pip install --no-deps mup
    build/peers/st/bin/python tools/make_mup_oracles.py testdata

The decoder is Phi-3's, by names and arithmetic, with mup's output layer and attention at sqrt(base head width) / head width,
as the authors ask for. First weights are its init.normal_, whose standard deviations are kept, with numbers that anyone
can make again: value i of a tensor is std sqrt(2) cos(2 pi frac(i^2 / phi)), phi the golden ratio. A few steps of its MuAdamW follow; kept
are its rates and decays, losses, and the mean size of each layer's output, of the last norm's and of the logits.
"""

import json
import math
import sys
import types
from pathlib import Path

import torch

# mup's only use of it is a plot.
sys.modules.setdefault("seaborn", types.ModuleType("seaborn"))
import mup
import mup.init
from torch import nn
from torch.nn import functional as F

SIGMA, RATE, DECAY, BETAS, EPSILON, STEPS = 0.1, 1e-2, 0.1, (0.9, 0.95), 1e-8, 5
LAYERS, VOCABULARY, ROWS, TOKENS, NORM_EPSILON = 2, 96, 2, 12, 1e-5
BASE = {"hidden_dim": 32, "ffn_dim": 40, "n_heads": 2, "head_dim": 8}
MODEL = {"hidden_dim": 64, "ffn_dim": 160, "n_heads": 4, "head_dim": 16}  # each wider by another factor


class Layer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        width, ffn, self.heads, self.each = shape["hidden_dim"], shape["ffn_dim"], shape["n_heads"], shape["head_dim"]
        inner = self.heads * self.each
        self.input_layernorm = nn.RMSNorm(width, NORM_EPSILON)
        self.post_attention_layernorm = nn.RMSNorm(width, NORM_EPSILON)
        self.self_attn = nn.ModuleDict({"qkv_proj": nn.Linear(width, 3 * inner, bias=False),
                                        "o_proj": nn.Linear(inner, width, bias=False)})
        self.mlp = nn.ModuleDict({"gate_up_proj": nn.Linear(width, 2 * ffn, bias=False),
                                  "down_proj": nn.Linear(ffn, width, bias=False)})

    def forward(self, x):
        rows, tokens, _ = x.shape
        q, k, v = (part.view(rows, tokens, self.heads, self.each).transpose(1, 2)
                   for part in self.self_attn["qkv_proj"](self.input_layernorm(x)).chunk(3, -1))
        half = self.each // 2
        angles = torch.arange(tokens)[:, None] * 1e4 ** (-torch.arange(half) * 2 / self.each)
        cos, sin = angles.cos(), angles.sin()
        turn = lambda t: torch.cat((t[..., :half] * cos - t[..., half:] * sin, t[..., half:] * cos + t[..., :half] * sin), -1)
        scale = math.sqrt(BASE["head_dim"]) / self.each
        mixed = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True, scale=scale)
        x = x + self.self_attn["o_proj"](mixed.transpose(1, 2).reshape(rows, tokens, -1))
        gate, up = self.mlp["gate_up_proj"](self.post_attention_layernorm(x)).chunk(2, -1)
        return x + self.mlp["down_proj"](F.silu(gate) * up)


class Decoder(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.model = nn.ModuleDict({"embed_tokens": nn.Embedding(VOCABULARY, shape["hidden_dim"]),
                                    "layers": nn.ModuleList(Layer(shape) for _ in range(LAYERS)),
                                    "norm": nn.RMSNorm(shape["hidden_dim"], NORM_EPSILON)})
        self.lm_head = mup.MuReadout(shape["hidden_dim"], VOCABULARY, bias=False)

    def forward(self, ids):
        x, outputs = self.model["embed_tokens"](ids), []
        for layer in self.model["layers"]:
            x = layer(x)
            outputs.append(x)
        x = self.model["norm"](x)
        return self.lm_head(x), [*outputs, x]


def initialise(model):
    stds = {}

    def fill(tensor, mean, std):
        n = torch.arange(tensor.numel(), dtype=torch.float64)
        values = std * math.sqrt(2) * torch.cos(2 * math.pi * torch.frac(n * n / ((1 + math.sqrt(5)) / 2)))
        with torch.no_grad():
            tensor.copy_(values.view_as(tensor).float())
        stds[name] = std

    mup.init._no_grad_normal_ = fill
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            nn.init.ones_(parameter)
        else:  # what adds to the residual stream begins smaller by the root of twice the layers
            by_depth = math.sqrt(2 * LAYERS) if name.endswith(("o_proj.weight", "down_proj.weight")) else 1
            mup.init.normal_(parameter, std=SIGMA / by_depth)
    return stds


def batch_of(step):
    t = torch.arange(TOKENS + 1)
    all_of = torch.stack([(7 * t * t + 3 * t + 13 * row + 5 * step) % VOCABULARY for row in range(ROWS)])
    return all_of[:, :-1], all_of[:, 1:]


def main():
    model = Decoder(MODEL)
    mup.set_base_shapes(model, Decoder(BASE))
    stds = initialise(model)
    groups = [{"params": [p for p in model.parameters() if (p.dim() > 1) == decays], "weight_decay": DECAY if decays else 0.0}
              for decays in (True, False)]
    optimizer = mup.MuAdamW(groups, lr=RATE, betas=BETAS, eps=EPSILON)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rules = {names[id(parameter)]: {"rate": group["lr"], "decay": group["weight_decay"]}
             for group in optimizer.param_groups for parameter in group["params"]}
    for name, std in stds.items():
        rules[name]["std"] = std
    losses, sizes = [], []
    for step in range(STEPS):
        ids, targets = batch_of(step)
        logits, outputs = model(ids)
        sizes.append([float(one.detach().double().abs().mean()) for one in [*outputs, logits]])
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    from importlib.metadata import version
    found = {"oracle": f"mup {version('mup')}, torch {torch.__version__}, f32", "base": BASE, "model": MODEL, "layers": LAYERS,
             "vocabulary": VOCABULARY, "rows": ROWS, "tokens": TOKENS, "norm_epsilon": NORM_EPSILON, "sigma": SIGMA, "rate": RATE,
             "decay": DECAY, "beta1": BETAS[0], "beta2": BETAS[1], "epsilon": EPSILON, "rules": rules, "losses": losses, "sizes": sizes}
    print(losses, sizes[0], sizes[-1], sep="\n")
    (Path(sys.argv[1]) / "train" / "mup.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
