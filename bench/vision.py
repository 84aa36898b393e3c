#!/usr/bin/env python3
"""Seeing a picture at full size: CLIP ViT-L/14-336 and the projector of Phi-3-vision, random weights, beside PyTorch.

    build/peers/st/bin/python bench/vision.py [--threads 2] [--crops 4] [--rounds 3] [--bf16]
        [--processor-time] [--folder build/vision]

Writes the model once (CLIP and projector as published, one narrow decoder layer, f16), then alternates: `phial generate`
of one token after a picture, whose prefill_ms holds resizing, encoder, projector and that layer; and transformers'
CLIPVisionModel with the 23 layers that matter and the projector in torch, on ready pixels, in f32 (--bf16: in bf16 too, for
machines that multiply it). Prints the medians and the ratio to the fastest torch. On a busy
machine: --processor-time --threads 1, where phial's time is that of a run with the picture less that of one without. Needs torch, transformers, safetensors and numpy (make bench-peers).
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HIDDEN, FFN, LAYERS, VOCABULARY = 1024, 3072, 256, 24, 64
EYE = "model.vision_embed_tokens."
CLIP = EYE + "img_processor.vision_model."


def clip_config(layers):
    return transformers.CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=4096, num_hidden_layers=layers, num_attention_heads=16, image_size=336,
        patch_size=14, hidden_act="quick_gelu", attn_implementation="sdpa")


def write_model(folder, crops):
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["Phi3VForCausalLM"], "model_type": "phi3_v", "hidden_size": HIDDEN, "intermediate_size": FFN,
        "num_hidden_layers": 1, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": VOCABULARY,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "hidden_act": "silu", "sliding_window": None,
        "tie_word_embeddings": False, "img_processor": {"name": "clip_vision_model", "num_img_tokens": 144}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps({"num_crops": crops}))
    if (folder / "model.safetensors").exists():
        return
    torch.manual_seed(1)
    clip = transformers.CLIPVisionModel(clip_config(LAYERS))
    tensors = {CLIP + k.removeprefix("vision_model."): v for k, v in clip.state_dict().items() if "position_ids" not in k}
    shapes = {
        EYE + "img_projection.0.weight": (HIDDEN, 4 * WIDTH), EYE + "img_projection.0.bias": (HIDDEN,),
        EYE + "img_projection.2.weight": (HIDDEN, HIDDEN), EYE + "img_projection.2.bias": (HIDDEN,),
        EYE + "sub_GN": (1, 1, 1, 4 * WIDTH), EYE + "glb_GN": (1, 1, 4 * WIDTH),
        "model.embed_tokens.weight": (VOCABULARY, HIDDEN), "lm_head.weight": (VOCABULARY, HIDDEN),
        "model.norm.weight": (HIDDEN,), "model.layers.0.input_layernorm.weight": (HIDDEN,),
        "model.layers.0.post_attention_layernorm.weight": (HIDDEN,),
        "model.layers.0.self_attn.qkv_proj.weight": (3 * HIDDEN, HIDDEN),
        "model.layers.0.self_attn.o_proj.weight": (HIDDEN, HIDDEN),
        "model.layers.0.mlp.gate_up_proj.weight": (2 * FFN, HIDDEN), "model.layers.0.mlp.down_proj.weight": (HIDDEN, FFN)}
    tensors |= {name: torch.randn(shape) * 0.02 for name, shape in shapes.items()}
    save_file({k: v.to(torch.float16).contiguous() for k, v in tensors.items()}, folder / "model.safetensors")


def write_png(path, side):
    """A drawn picture, so that no library is needed."""
    y, x = np.mgrid[0:side, 0:side]
    rgb = np.stack([x * 255 // side, y * 255 // side, (x * y) % 251], -1).astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rgb)
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    size = side.to_bytes(4, "big")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + size + b"\x08\x02\0\0\0") +
                     chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def run_phial(args, ids, *words):
    """What the run told, and its processor time in milliseconds."""
    (args.folder / "ids.txt").write_text(",".join(map(str, ids)))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [args.phial, "generate", "--model", args.folder, "--ids", f"@{args.folder / 'ids.txt'}", *words, "-n", "1",
         "--greedy", "--json", "--quiet", "--threads", str(args.threads)], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        sys.exit(run.stderr)
    return json.loads(run.stdout), 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def phial_ms(args, tokens):
    told, spent = run_phial(args, [1] + [-1] * tokens + [2], "--image", args.folder / "picture.png")
    return spent - run_phial(args, [1, 2])[1] if args.processor_time else told["timings"]["prefill_ms"]


class Torch:
    def __init__(self, folder, dtype):
        stored = load_file(folder / "model.safetensors")
        # The layout of the published code: the feature is what the last layer but one gives, so that is the last here.
        self.clip = transformers.CLIPVisionModel(clip_config(LAYERS - 1)).eval().to(dtype)
        own = self.clip.state_dict()
        given = {}
        for name in own:
            key = CLIP + name.removeprefix("vision_model.")
            given[name] = stored[key].to(dtype) if key in stored else own[name]
        self.clip.load_state_dict(given)
        self.project = torch.nn.Sequential(torch.nn.Linear(4 * WIDTH, HIDDEN), torch.nn.GELU(), torch.nn.Linear(HIDDEN, HIDDEN))
        self.project.load_state_dict({k: stored[f"{EYE}img_projection.{k}"] for k in ("0.weight", "0.bias", "2.weight", "2.bias")})
        self.project = self.project.to(dtype)
        self.dtype = dtype

    def ms(self, tiles, tokens, clock):
        pixels = torch.randn(tiles, 3, 336, 336, dtype=self.dtype)
        rows = torch.randn(tokens, 4 * WIDTH, dtype=self.dtype)
        start = clock()
        with torch.inference_mode():
            self.clip(pixels, output_hidden_states=True).hidden_states[-1]
            self.project(rows)
        return (clock() - start) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--crops", type=int, default=4, choices=(1, 4, 9, 16))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/vision")
    parser.add_argument("--phial", default=str(ROOT / "build/release/bin/phial"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    side = int(args.crops**0.5)
    tiles, tokens = args.crops + 1, (args.crops + 1) * 144 + 1 + (side + 1) * 12
    write_model(args.folder, args.crops)
    write_png(args.folder / "picture.png", 336 * side)
    peers = {"torch f32": Torch(args.folder, torch.float32)}
    if args.bf16:
        peers["torch bf16"] = Torch(args.folder, torch.bfloat16)
    took = {"phial": [], **{name: [] for name in peers}}
    for _ in range(args.rounds):
        took["phial"].append(phial_ms(args, tokens))
        for name, peer in peers.items():
            took[name].append(peer.ms(tiles, tokens, time.process_time if args.processor_time else time.perf_counter))
    medians = {name: statistics.median(times) for name, times in took.items()}
    print(f"{tiles} tiles, {tokens} tokens, {args.threads} threads; milliseconds{' of processor time' * args.processor_time} a picture")
    for name, times in took.items():
        print(f"{name:12} {medians[name]:8.0f}   ({', '.join(f'{t:.0f}' for t in times)})")
    print(f"phial is {min(medians[name] for name in peers) / medians['phial']:.2f} times as fast as torch")


if __name__ == "__main__":
    main()
