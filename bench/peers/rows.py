"""The rows of the table of peers: what each engine is asked for, and what of its answer is a figure.

A row is a function of (files, args) that gives {engine: measure}; a measure gives {figure: value}, where a value is
{"value": number, "setting": the flags it was reached with} and more that only the JSON tells. An engine without a
measure is left out. Of several settings of an engine the best counts, figure by figure.
"""

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from model_files import ROOT, WINDOW, Files

sys.path.insert(0, str(ROOT / "bench"))
import decode  # noqa: E402
import drafting  # noqa: E402
import family  # noqa: E402
from prompts import ask_prompts  # noqa: E402

PHIAL, LLAMA, ORT = "phial", "llama.cpp", "ORT GenAI"
FULL = 4096      # tokens of the context where memory is looked at
ANSWER = 16      # of them written
FIRST_PROMPT = 16
START = "start to first token"


@dataclass(frozen=True)
class Figure:
    unit: str                # of its value
    less: bool = False       # is better
    digits: int = 2


FIGURES = {"tokens/s": Figure("tokens/s"), "s": Figure("s", less=True), "GB": Figure("GB", less=True)}


def value(number, setting: str, **more) -> dict:
    return {"value": number, "setting": setting, **more}


def better(a: dict | None, b: dict, less: bool) -> dict:
    return b if a is None or (b["value"] < a["value"]) == less else a


def best(runs: list[dict], unit: str) -> dict:
    """Of {figure: value} of several settings, the best of each figure."""
    out: dict = {}
    for run in runs:
        for name, found in run.items():
            out[name] = better(out.get(name), found, FIGURES[unit].less)
    return out


def straight_line(layers: tuple, numbers: list[float], wanted: int) -> float:
    """From a figure at one or two numbers of layers to that at `wanted`."""
    if len(layers) == 1:
        return numbers[0]
    return numbers[1] + (numbers[1] - numbers[0]) / (layers[1] - layers[0]) * (wanted - layers[1])


def generate(args, model: Path, ids: str, tokens: int) -> list:
    """A command that prints JSON."""
    return [args.phial, "generate", "--model", model, "--ids", ids, "-n", tokens, "--greedy", "--ignore-end",
            "--threads", args.threads, "--json", "--quiet"]


# --- decode and prompt -------------------------------------------------------------------------------------------------

def engines(files: Files, args, **shape) -> decode.Engines:
    return decode.Engines(SimpleNamespace(
        **{key: getattr(args, key) for key in ("phial", "python_llama", "python_ort", "peers", "threads", "kv", "llama_modes")},
        ort_work=str(files.ort_work), ort_layers=",".join(map(str, files.ort_layers)), **shape))


def speeds(found: dict[int, dict], prompt: int) -> dict:
    """`found`: of decode.Engines."""
    out = {}
    for depth, row in sorted(found.items()):
        if row.get("prefill_tps") and depth == min(found):
            out[f"prompt of {prompt}"] = value(row["prefill_tps"], row["prefill_setting"], of_limit=row.get("prefill_fraction"))
        if row.get("decode_tps"):
            name = f"decode after {depth:,}" if depth else "decode, empty"
            out[name] = value(row["decode_tps"], row["decode_setting"], of_limit=row.get("decode_fraction"),
                              peak_rss_bytes=row.get("peak_rss_bytes"))
    return out


def decode_row(files: Files, args) -> dict:
    """The same file at three depths, and a prompt."""
    run = engines(files, args, model=str(files.plain), prompt=args.prompt, gen=args.gen, depths=args.depths)
    measures = {PHIAL: run.phial, LLAMA: run.llama, ORT: run.ort}
    return {engine: lambda measure=measure: speeds(measure(), args.prompt) for engine, measure in measures.items()}


def small_row(files: Files, args) -> dict:
    """Phial's file of at most 4.25 bits a weight beside llama.cpp's of 4.5 or more."""
    shape = {"prompt": args.prompt, "gen": args.gen, "depths": "0"}
    mine = engines(files, args, model=str(files.small), **shape)
    peer = engines(files, args, model=str(files.peer_small), **shape)

    def named(found: dict, path: Path) -> dict:
        return {f"{name}, 4.25 bits": {**one, "setting": f"{one['setting']}, {path.name}"} for name, one in found.items()}

    return {PHIAL: lambda: named(speeds(mine.phial(), args.prompt), files.small),
            LLAMA: lambda: named(speeds(peer.llama(), args.prompt), files.peer_small)}


# --- answers from passages ---------------------------------------------------------------------------------------------

@cache
def prompts_of(phial: str, model: Path) -> dict:
    return ask_prompts(phial, model)


def warm(weights: Path) -> None:
    """Reads a file, or the files of a folder, into the page cache."""
    for path in [weights] if weights.is_file() else [one for one in weights.rglob("*") if one.is_file()]:
        with path.open("rb") as file:
            while file.read(16 << 20):
                pass


def asked(request: dict, weights: Path, command) -> dict:
    """What `command`(path of the request) prints, `weights` in the page cache."""
    warm(weights)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({key: request[key] for key in ("prompts", "tokens")}, file)
        file.flush()
        return decode.json_lines([str(word) for word in command(file.name)])[-1]


def phial_answers(files: Files, args, request: dict, kv: str, draft: str) -> dict:
    probe = ROOT / "build/release/bench/phial_answers_probe"
    return asked(request, files.plain, lambda path: [probe, files.plain, path, args.threads, kv, draft])


def llama_answers(files: Files, args, request: dict, mode: str, *flags) -> dict:
    flash, kv = mode.split("/")
    script = [args.python_llama, ROOT / "bench/peers/answers_llama.py", files.plain]
    flags = ["--peers", args.peers, "--threads", args.threads, "--flash", flash, "--kv", kv, *flags]
    return asked(request, files.plain, lambda path: [*script, path, *flags])


def ort_answers(files: Files, args, request: dict) -> dict:
    """Of all layers; seconds are those of a straight line through the layers that are measured."""
    script = [args.python_ort, ROOT / "bench/peers/answers_ort.py"]
    folders = [files.ort_work / f"ort-int4-b32-{layers}" for layers in files.ort_layers]
    runs = [asked(request, folder, lambda path, folder=folder: [*script, folder, path, "--threads", args.threads])
            for folder in folders]

    def line(of) -> float:
        return straight_line(files.ort_layers, [of(run) for run in runs], files.layers)

    return {"load_s": line(lambda run: run["load_s"]),
            "answers": [{**one, **{key: line(lambda run: run["answers"][i][key]) for key in ("prefill_s", "decode_s")}}
                        for i, one in enumerate(runs[-1]["answers"])]}


def answer_figures(answers: list[dict], setting: str) -> dict:
    names = ("first question and answer", "second, same passages")
    return {name: value(one["prefill_s"] + one["decode_s"], setting, told=one) for name, one in zip(names, answers)}


def ask_row(files: Files, args) -> dict:
    """A prompt of 1,500 tokens with passages, an answer of 128; then a second question on the same passages."""
    request = prompts_of(args.phial, files.plain)

    def phial() -> dict:
        drafted, plain = (phial_answers(files, args, request, kv, draft) for draft in ("lookup", "off"))
        for one in drafted["answers"]:
            one["quoted"] = round(drafting.share_quoted(one["text"], [request["passages"]]), 2)
        out = answer_figures(drafted["answers"], f"{kv}, drafting")
        for name, one in answer_figures(plain["answers"], f"{kv}, --draft off").items():
            out[f"{name}, no drafting"] = one
        return out

    kv, mode = args.kv.split(",")[0], args.llama_modes.split(",")[0]

    def llama() -> dict:
        found = llama_answers(files, args, request, mode)
        plain, looked_up = answer_figures(found["answers"], mode), answer_figures(found["lookup"], f"{mode}, prompt lookup")
        return {**best([plain, looked_up], "s"), **{f"{name}, no drafting": one for name, one in plain.items()}}

    def ort() -> dict:
        plain = answer_figures(ort_answers(files, args, request)["answers"], "f32")
        return {**plain, **{f"{name}, no drafting": one for name, one in plain.items()}}

    return {PHIAL: phial, LLAMA: llama, ORT: ort}


# --- memory ------------------------------------------------------------------------------------------------------------

def memory_row(files: Files, args) -> dict:
    """The most that a process held, 4,096 tokens in use: Phial with its small file and a q4 cache, llama.cpp with its own
    and the cache that is smallest in all."""
    ids = ",".join(str(i % 30000 + 10) for i in range(FULL - ANSWER))

    def held(model: Path) -> dict:
        run, peak, _ = family.answered([*generate(args, model, ids, ANSWER), "--draft", "off", "--context", FULL, "--kv", "q4"])
        return value(peak / 1e9, f"q4, mapped, {model.name}", prefill_tps=run["timings"]["prefill_tps"],
                     decode_tps=run["timings"]["decode_tps"])

    def phial() -> dict:
        out = {"memory, 4k in use": held(files.small)}
        if files.windowed is not None:
            out[f"memory, window of {WINDOW:,}"] = held(files.windowed)
        return out

    def llama() -> dict:
        runs, prompt = [], 512
        for flash, kv in (("off", "f16"), ("on", "q8_0"), ("on", "q4_0")):
            command = [args.python_llama, f"{args.peers}/llama_cpp.py", "--model", files.peer_small, "--threads", args.threads,
                       "--prompt", prompt, "--gen", 2, "--depths", FULL - prompt, "--flash", flash, "--kv", kv]
            row = decode.json_lines([str(word) for word in command])[-1]
            runs.append({"memory, 4k in use": value(row["peak_rss_bytes"] / 1e9, f"{flash}/{kv}, {files.peer_small.name}")})
        return best(runs, "GB")

    return {PHIAL: phial, LLAMA: llama}


# --- start -------------------------------------------------------------------------------------------------------------

def first_row(files: Files, args) -> dict:
    """Seconds from the start of the process to the first token of a prompt of 16, weights in the page cache. The peers'
    begin after Python has imported them."""
    request = {"prompts": [prompts_of(args.phial, files.plain)["prompts"][0][:FIRST_PROMPT]], "tokens": 1}
    ids = ",".join(map(str, request["prompts"][0]))

    def phial() -> dict:
        runs = []
        for load in ("map", "copy"):
            warm(files.plain)
            began = time.perf_counter()
            told = decode.json_lines([str(word) for word in [*generate(args, files.plain, ids, 1), "--load", load]])[-1]
            runs.append({START: value(time.perf_counter() - began, load, prefill_s=told["timings"]["prefill_ms"] / 1000)})
        return best(runs, "s")

    def told(found: dict, setting: str) -> dict:
        prefill_s = found["answers"][0]["prefill_s"]
        return {START: value(found["load_s"] + prefill_s, setting, prefill_s=prefill_s)}

    def llama() -> dict:
        return best([told(llama_answers(files, args, request, "off/f16", "--draft", "0", "--load", load), load)
                     for load in ("map", "read")], "s")

    return {PHIAL: phial, LLAMA: llama, ORT: lambda: told(ort_answers(files, args, request), "f32")}


@dataclass(frozen=True)
class Row:
    name: str
    make: object     # (files, args) -> {engine: measure}
    unit: str        # a key of FIGURES
    seconds: float   # what an engine takes about, with Phi-3-mini on two cores; others are told from what was measured
    once: bool = False  # memory does not wander: the first round alone measures it


ROWS = (Row("decode", decode_row, "tokens/s", 90), Row("small", small_row, "tokens/s", 35), Row("ask", ask_row, "s", 110),
        Row("memory", memory_row, "GB", 230, once=True), Row("first", first_row, "s", 15))
SMOL_SHARE = 0.12  # of these seconds, for SmolLM2
