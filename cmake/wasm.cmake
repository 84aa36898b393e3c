# WebAssembly for WASI: Debian's clang 19 with wasi-libc and libc++ (scripts/setup-wasm), run here by wasmtime. Without
# threads and exceptions, which this libc++ does not have.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(PHIAL_WASM ON)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-z,stack-size=1048576")
set(CMAKE_CROSSCOMPILING_EMULATOR ${CMAKE_CURRENT_LIST_DIR}/../build/wasm-venv/bin/python ${CMAKE_CURRENT_LIST_DIR}/../tools/run_wasm.py)
