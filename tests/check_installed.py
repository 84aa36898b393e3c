#!/usr/bin/env python3
"""Installs a build and uses it as other projects do: the examples, built against what was installed with
find_package(phial) and with pkg-config, shared and static, give what the program itself gives; the shared library shows
its C functions and nothing else."""

import argparse
import os
import re
import tempfile
from pathlib import Path

from commands import run

ROOT = Path(__file__).resolve().parent.parent
PROMPT = "The sea was"


def install(build, prefix, components=()):
    for component in components or (None,):
        run("cmake", "--install", build, "--prefix", prefix, *(("--component", component) if component else ()))
    return prefix


def build_with_cmake(example, prefix, folder):
    run("cmake", "-S", ROOT / "examples" / example, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_FIND_PACKAGE_NO_PACKAGE_REGISTRY=ON")
    run("cmake", "--build", folder)
    return folder


def build_with_pkg_config(compiler, source, prefix, program, *flags):
    environment = {**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}
    asked = run("pkg-config", *flags, "--cflags", "--libs", "phial", env=environment).split()
    run(compiler, *(["-std=c99"] if source.suffix == ".c" else ["-std=c++20"]), "-Wall", "-Wextra", "-Werror", source,
        "-o", program, *asked)
    return program


def needed(program):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", program))


def check(condition, said):
    if not condition:
        raise SystemExit(f"error: {said}")


def check_exports(library, header):
    declared = set(re.findall(r"^PHIAL_API [^;]*?\b(phial_\w+)\(", header.read_text(), re.MULTILINE))
    shown = {line.split()[-1].split("@")[0] for line in run("nm", "-D", "--defined-only", library).splitlines()}
    shown.discard("PHIAL_1")
    check(len(declared) > 30, f"only {len(declared)} functions were found in {header}")
    check(shown == declared, f"the library shows {sorted(shown - declared)}, and lacks {sorted(declared - shown)}")
    check("libphial.so.1" in run("readelf", "-d", library), "the shared library's name has no ABI version")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    args = parser.parse_args()
    models = Path(os.environ["PHIAL_MODELS"]) if os.environ.get("PHIAL_MODELS") else None  # else the fixtures serve
    fixture = ROOT / "testdata/golden/phi3-mini-like"
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        everything = install(args.build, tmp / "everything")
        static_only = install(args.build, tmp / "static", ["static"])
        check_exports(everything / "lib/libphial.so", everything / "include/phial/phial.h")
        for program in ("phial", "phial-reader", "phial-models"):
            check((everything / "bin" / program).exists(), f"{program} was not installed")

        phial = everything / "bin/phial"
        if (args.build / "bin/phial-train").exists():  # it finds libtorch
            check("[optimizer]" in run(phial, "train", "pretrain", "--fields"), "phial-train was not installed, or does not run")
        home = {"PHIAL_HOME": str(tmp / "home"), "PATH": os.environ["PATH"]}
        wanted = run(phial, "generate", "--model", fixture, "-p", PROMPT, "-n", "32", "--greedy", env=home)
        shared_path = {**os.environ, "LD_LIBRARY_PATH": str(everything / "lib")}

        c = build_with_cmake("c", everything, tmp / "c")
        check(any(one.startswith("libphial.so") for one in needed(c / "chat")), "chat is not linked to libphial.so")
        answer = run(c / "chat", fixture, 'Say "hello" \\ twice')
        check(answer.strip() != "", "chat wrote nothing")
        chat = build_with_pkg_config("cc", ROOT / "examples/c/chat.c", everything, tmp / "chat")
        check(run(chat, fixture, 'Say "hello" \\ twice', env=shared_path) == answer, "pkg-config's chat wrote another text")
        chat = build_with_pkg_config("cc", ROOT / "examples/c/chat.c", static_only, tmp / "chat-static", "--static")
        check(not any("phial" in one for one in needed(chat)), "the static chat needs libphial.so")
        check(run(chat, fixture, 'Say "hello" \\ twice') == answer, "the static chat wrote another text")

        cpp = build_with_cmake("cpp", everything, tmp / "cpp")
        check(not any("phial" in one for one in needed(cpp / "complete")), "complete needs libphial.so")
        check(run(cpp / "complete", fixture, PROMPT) == wanted, "complete wrote another text than phial")
        complete = build_with_pkg_config("c++", ROOT / "examples/cpp/complete.cc", static_only, tmp / "complete", "--static")
        check(run(complete, fixture, PROMPT) == wanted, "pkg-config's complete wrote another text than phial")

        if models:
            embedder = models / "all-MiniLM-L6-v2"
            near = float(run(c / "embed", embedder, "The cat sleeps.", "A cat is sleeping."))
            far = float(run(c / "embed", embedder, "The cat sleeps.", "Interest rates rose again."))
            check(near > 0.8 > 0.3 > far, f"near texts have the cosine {near}, others {far}")
            model = models / "SmolLM2-135M-Instruct.Q4_1.gguf"
            question = "Which metal is liquid at room temperature?"
            wanted = run(phial, "chat", "--model", model, "--greedy", "-n", "64", "--quiet", env=home, input=question + "\n")
            check(run(c / "chat", model, question).strip() == wanted.strip(), "chat wrote another text than phial")
    print("what is installed serves other projects")


if __name__ == "__main__":
    main()
