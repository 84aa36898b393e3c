#!/usr/bin/env python3
"""Holds every source of phial/ to the rules of the house: who may include whom, and what only some rooms may touch.

The rules are the tables below (docs/decisions/0001-the-house.md says why). Prints one line a fault and exits with 1.
`--self-test` plants one violation of each rule in a temporary tree and sees that it is found.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

BELOW_THE_TOP = {"base", "tensor", "tokenizer", "spec", "formats", "kernels", "model", "generate"}
UP_TO_FLOOR_4 = BELOW_THE_TOP

# Room -> rooms whose headers it may include (its own always).
MAY_INCLUDE = {
    "base": set(),
    "tensor": {"base"},
    "tokenizer": {"base"},
    "spec": {"tensor", "base"},
    "formats": {"tensor", "base"},
    "kernels": {"tensor"},
    "model": {"spec", "formats", "kernels", "tensor", "base"},
    "generate": {"model", "tokenizer", "spec", "formats", "base"},
    "rag": UP_TO_FLOOR_4,
    "documents": {"base", "formats", "sandbox"},
    "sandbox": {"base"},
    "convert": BELOW_THE_TOP - {"generate"},
    "quantize": BELOW_THE_TOP - {"generate", "tokenizer"},
    "data": {"spec", "tokenizer", "formats", "base"},
    "train": {"generate", "spec", "kernels", "formats", "tokenizer", "tensor", "base"},
    "capi": {"rag", "generate", "model", "formats", "kernels", "base"},
    "cli": BELOW_THE_TOP | {"rag", "convert", "quantize", "data", "train"},
}

# What only tests may include besides: GGUF vocabularies are the tokenizers' vectors, the network that runs is the oracle
# of the one that is trained.
TESTS_MAY_INCLUDE = {("kernels", "base"), ("tokenizer", "formats"), ("train", "model")}

# (rooms, header) -> the only headers of that room which they may include; a reason each.
ONLY_THESE_HEADERS = [
    # A container's inline code compiled for AVX-512 could become everyone's copy.
    ("kernels", "tensor", {"phial/tensor/blocks.h", "phial/tensor/codebooks.h", "phial/tensor/half.h"}),
    # The blueprint is needed where there is no engine.
    ("spec", "tensor", {"phial/tensor/dtype.h"}),
    # phial-reader writes the records and pixels that rag reads; it must not parse model files.
    ("documents", "formats", {"phial/formats/extracted_document.h", "phial/formats/image.h", "phial/formats/ppm.h"}),
    # What the program phial-train runs; the headers beside them bring libtorch, which takes half a minute a source.
    ("cli", "train", {"phial/train/config.h", "phial/train/coordinate_check.h", "phial/train/dpo.h", "phial/train/extend.h",
                      "phial/train/pretrain.h", "phial/train/run_config.h", "phial/train/sft.h", "phial/train/sweep.h", "phial/train/sweep_report.h", "phial/train/vision.h",
                      "phial/train/world.h"}),
    # The chat templates that a tuned model is asked with.
    ("train", "generate", {"phial/generate/chat.h"}),
]

# Third-party or system headers -> rooms that may include them.
HEADERS_OF_ROOMS = [
    (r"sqlite3\.h", {"rag"}),
    (r"nlohmann/.*", {"base"}),
    (r"CLI/.*", {"cli"}),
    (r"histedit\.h|editline/.*", {"cli"}),
    (r"pcre2\.h", {"tokenizer"}),
    (r"torch/.*|ATen/.*|c10/.*|toml\+\+/.*", {"train"}),
    (r"seccomp\.h|linux/seccomp\.h|linux/landlock\.h", {"sandbox", "documents"}),
    (r"png\.h|jpeglib\.h|gif_lib\.h|webp/.*", {"formats"}),
    (r"ft2build\.h|freetype/.*", {"data"}),
    (r"gumbo\.h|cmark-gfm.*|zip\.h|pugixml\.hpp|poppler/.*|uchardet.*|tesseract/.*|leptonica/.*", {"documents"}),
    (r"sys/socket\.h|netinet/.*|arpa/.*|netdb\.h|boost/beast.*|boost/asio.*|curl/.*", set()),
    (r"immintrin\.h|x86intrin\.h|arm_neon\.h|wasm_simd128\.h|cpuid\.h|sys/auxv\.h|asm/hwcap\.h", {"kernels"}),
]

# Words that only the person's own room may say: (pattern, what, exceptions by path).
ONLY_IN_CLI = [
    (r"\bstd::(cout|cerr|clog)\b|(?<![\w.>:])(std::)?(printf|puts|putchar|perror)\s*\(|\bf(printf|puts|putc)\s*\(\s*\w*\s*stdout\b"
     r"|\bstd::fprintf\s*\(\s*std(out|err)", "prints", {"phial/base/check.h"}),
    (r"(?<![\w.>])(std::|::)?(exit|quick_exit)\s*\(", "ends the program", set()),
    (r"\b(std::)?(getenv|secure_getenv|setenv)\s*\(", "reads the environment", {"phial/kernels/dispatch.cc"}),
]
# Programs of their own, which have a standard output and an exit status.
PROGRAM_MAINS = {"phial/documents/reader_main.cc", "phial/rag/fake_reader.cc"}
TEST_FILE = re.compile(r"_(test|bench|fuzz)\.(cc|h)$")

MAX_LINES = 600
WHY_SO_LONG = "// Longer than 600 lines: "

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def code_only(text: str) -> str:
    """The text with comments and string literals blanked, line breaks kept."""
    return COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def include_faults(room: str, name: str, text: str, is_test: bool):
    for found in INCLUDE.finditer(text):
        header, line = found.group(2), line_of(text, found.start(2))
        if header.startswith("phial/"):
            other = header.split("/")[1]
            if other == room:
                continue
            if other not in MAY_INCLUDE.get(room, set()) and not (is_test and (room, other) in TESTS_MAY_INCLUDE):
                yield f"{name}:{line}: {room} may not include {other} ({header})"
            for owner, target, allowed in ONLY_THESE_HEADERS:
                if room == owner and other == target and header not in allowed and not is_test:
                    yield f"{name}:{line}: {room} may include of {other} only {', '.join(sorted(allowed))}, not {header}"
            continue
        if found.group(1) == '"' and header != "isa_list.inc" and not header.endswith(".inc"):
            yield f'{name}:{line}: "{header}": spell includes from the repository root'
        for pattern, rooms in HEADERS_OF_ROOMS:
            if re.fullmatch(pattern, header) and room not in rooms and not is_test:
                yield f"{name}:{line}: {header} belongs to {', '.join(sorted(rooms)) or 'no room yet'}, not to {room}"


def file_faults(root: Path, path: Path):
    name = path.relative_to(root).as_posix()
    room = name.split("/")[1]
    text = path.read_text(encoding="utf-8")
    is_test = bool(TEST_FILE.search(name))
    if room not in MAY_INCLUDE:
        yield f"{name}: the room '{room}' is not in the table of tools/check_layers.py"
    yield from include_faults(room, name, text, is_test)
    if room != "cli" and not is_test and name not in PROGRAM_MAINS:
        code = code_only(text)
        for pattern, what, exceptions in ONLY_IN_CLI:
            if name in exceptions:
                continue
            for found in re.finditer(pattern, code):
                yield f"{name}:{line_of(code, found.start())}: {what}; only cli may ({found.group().strip()})"
    lines = text.count("\n")
    if lines > MAX_LINES and WHY_SO_LONG not in text[:4000]:
        yield f"{name}: {lines} lines: split it, or say why at its top: '{WHY_SO_LONG}...'"


def faults(root: Path) -> list[str]:
    files = sorted(p for p in (root / "phial").rglob("*") if p.suffix in {".h", ".cc", ".inc", ".cu", ".cuh"})
    return [fault for path in files for fault in file_faults(root, path)]


# What --self-test plants: a file, its text, and a word that its fault must contain ("" = must be clean).
PLANTED = [
    ("phial/kernels/bad.cc", '#include "phial/base/result.h"\n', "kernels may not include base"),
    ("phial/kernels/worse.cc", '#include "phial/tensor/dtype.h"\n', "only phial/tensor/blocks.h, phial/tensor/codebooks.h, phial/tensor/half.h"),
    ("phial/base/up.cc", '#include "phial/model/decoder.h"\n', "base may not include model"),
    ("phial/rag/side.cc", '#include "phial/documents/reader.h"\n', "rag may not include documents"),
    ("phial/documents/parse.cc", '#include "phial/formats/checkpoint.h"\n', "only phial/formats/extracted_document.h"),
    ("phial/model/store.cc", "#include <sqlite3.h>\n", "sqlite3.h belongs to rag"),
    ("phial/model/lanes.cc", "#include <wasm_simd128.h>\n", "wasm_simd128.h belongs to kernels"),
    ("phial/model/learn.cc", "#include <torch/torch.h>\n", "torch/torch.h belongs to train"),
    ("phial/cli/learn.cc", '#include "phial/train/network.h"\n', ", not phial/train/network.h"),
    ("phial/train/infer.cc", '#include "phial/model/decoder.h"\n', "train may not include model"),
    ("phial/train/ask.cc", '#include "phial/generate/engine.h"\n', "phial/generate/chat.h, not phial/generate/engine.h"),
    ("phial/rag/net.cc", "#include <sys/socket.h>\n", "belongs to no room yet"),
    ("phial/model/talk.cc", 'void f() { std::printf("x"); }\n', "prints"),
    ("phial/model/stream.cc", "void f() { std::cerr << 1; }\n", "prints"),
    ("phial/rag/leave.cc", "void f() { std::exit(1); }\n", "ends the program"),
    ("phial/generate/env.cc", 'auto x = std::getenv("HOME");\n', "reads the environment"),
    ("phial/spec/near.cc", '#include "spec.h"\n', "from the repository root"),
    ("phial/spec/long.cc", "\n" * 601, "601 lines"),
    ("phial/garage/car.cc", "\n", "not in the table"),
    ("phial/model/comment.cc", '// printf("x"); std::exit(1)\nconst char* s = "getenv(";\n', ""),
    ("phial/cli/main.cc", '#include <CLI/CLI.hpp>\nvoid f() { std::printf("x"); std::exit(0); }\n', ""),
    ("phial/kernels/dispatch.cc", '#include <span>\nauto x = std::getenv("PHIAL_ISA");\n', ""),
]


def self_test() -> list[str]:
    missed = []
    for name, text, wanted in PLANTED:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
            found = faults(Path(folder))
            if (not wanted and found) or (wanted and not any(wanted in fault for fault in found)):
                missed.append(f"self-test: {name} with {text[:60]!r}: wanted {wanted or 'no fault'!r}, found {found}")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self-test", action="store_true", help="see that every rule finds its planted violation")
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    args = parser.parse_args()
    found = self_test() if args.self_test else faults(args.root)
    print("\n".join(found) if found else "every rule finds its planted violation" if args.self_test else "the layers hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
