#!/usr/bin/env python3
"""run_wasm.py PROGRAM [ARGUMENT ...]: runs a WebAssembly program for WASI in wasmtime, with this machine's files and
environment. The machine code is kept beside the program (PROGRAM.cwasm): compiling takes longer than most tests.
"""

import os
import pathlib
import sys

import wasmtime


def load(engine: wasmtime.Engine, program: pathlib.Path) -> wasmtime.Module:
    compiled = program.with_suffix(".cwasm")
    if compiled.exists() and compiled.stat().st_mtime >= program.stat().st_mtime:
        try:
            return wasmtime.Module.deserialize_file(engine, str(compiled))
        except wasmtime.WasmtimeError:
            pass  # of another version of wasmtime
    module = wasmtime.Module.from_file(engine, str(program))
    partial = compiled.with_suffix(f".{os.getpid()}")
    partial.write_bytes(module.serialize())
    partial.replace(compiled)
    return module


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    engine = wasmtime.Engine()
    module = load(engine, pathlib.Path(sys.argv[1]))
    system = wasmtime.WasiConfig()
    system.argv = sys.argv[1:]
    system.env = list(os.environ.items())
    system.inherit_stdin()
    system.inherit_stdout()
    system.inherit_stderr()
    system.preopen_dir("/", "/")
    store = wasmtime.Store(engine)
    store.set_wasi(system)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    try:
        linker.instantiate(store, module).exports(store)["_start"](store)
    except wasmtime.ExitTrap as end:
        return end.code
    except wasmtime.Trap as trap:
        print(f"run_wasm: {trap}", file=sys.stderr)
        return 134
    return 0


if __name__ == "__main__":
    sys.exit(main())
