# A thin front for scripts/ and the CMake presets. `make demo` and `make test` need only git, a C++ compiler and make.

SHELL := /bin/bash
PRESET ?= release
export PHIAL_HOME ?= $(CURDIR)/build/home
export PHIAL_MODELS ?= $(PHIAL_HOME)/models

.PHONY: help setup build models train demo test bench bench-peers package soak format lint install clean

help:
	@echo 'make demo         set up, build, fetch the default models, index the sample documents, answer a question'
	@echo 'make test         set up, build, run every test'
	@echo 'make train        phial-train, beside phial in build/release/bin (fetches libtorch, 200 MB)'
	@echo 'make bench        the measured figures'
	@echo 'make bench-peers  installs the peers; with PHIAL_PEERS=FOLDER measures the table beside them'
	@echo 'make package      a tarball and a .deb, in build/packages (ARCHITECTURE=arm64: for a Raspberry Pi)'
	@echo 'make soak         the long checks: fuzzers for five minutes each, thread sanitizer, ARM, WebAssembly, endurance'
	@echo 'make format lint  clang-format-19 and clang-tidy-19'
	@echo 'make install      into PREFIX (/usr/local)'

setup:
	@scripts/setup

build: setup
	@scripts/build $(PRESET)

models: setup
	@scripts/models $(PHIAL_HOME)/models

demo: setup models
	@scripts/build release phial phial-reader
	@scripts/demo

train: setup
	@scripts/setup-train
	@scripts/build release phial phial-train

test: setup models
	@[ $(PRESET) != release ] || scripts/setup-train
	@scripts/build $(PRESET)
	@ctest --preset $(PRESET) -j$$(nproc)

bench: setup models
	@scripts/build release phial phial-reader phial_sessions_probe phial_tokenizer_probe phial_rag_probe
	@bench/run

bench-peers: setup models
	@bench/peers/install
	@[ -z "$(PHIAL_PEERS)" ] || scripts/build release phial phial_answers_probe
	@[ -z "$(PHIAL_PEERS)" ] || python3 bench/peers/table.py --peers "$(PHIAL_PEERS)" $(TABLE)

package: setup
	@scripts/package $(ARCHITECTURE)

soak: models
	@scripts/soak

format:
	@git ls-files '*.cc' '*.h' '*.cu' '*.cuh' | xargs clang-format-19 -i

lint:
	@scripts/lint

install: PREFIX ?= /usr/local
install:
	@scripts/build release phial phial-reader phial_shared phial_static
	@[ ! -x build/release/bin/phial-train ] || [ ! -d build/train-venv ] || scripts/build release phial-train
	@cmake --install build/release --prefix $(PREFIX)

clean:
	rm -rf build/release build/lint build/dev build/tsan build/fuzz build/arm64 build/wasm build/package* build/sysroot-arm64*
