#!/usr/bin/env python3
"""llama.cpp's own quantizer, through llama-cpp-python (bench/peers/install), for bench/quantizing.py. Prints JSON.

    build/peers/llama/bin/python bench/peers/quantize_llama.py IN.gguf OUT.gguf Q4_K_M [--imatrix FILE.npz] [--threads N]

`--imatrix`: per tensor of the GGUF file the mean square of each column of its input, as bench/peers/imatrix.py gathers.
"""

import argparse
import ctypes
import json
import math
import sys

import llama_cpp
import numpy as np
from gguf import GGUFReader


def imatrix_of(path):
    """The array that ends with an empty name, and what it points to."""
    kept = [(name.encode(), np.ascontiguousarray(values, dtype=np.float32)) for name, values in np.load(path).items()]
    entries = (llama_cpp.llama_model_imatrix_data * (len(kept) + 1))()
    for entry, (name, values) in zip(entries, kept):
        entry.name = name
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = values.size
    return entries, kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("type", help="as llama-quantize names it: Q4_0, Q4_K_M, IQ4_XS, Q3_K_M")
    parser.add_argument("--imatrix")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread = args.threads
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{args.type}")
    if args.imatrix:
        entries, kept = imatrix_of(args.imatrix)
        params.imatrix = ctypes.cast(entries, ctypes.POINTER(llama_cpp.llama_model_imatrix_data))
    llama_cpp.llama_log_set(llama_cpp.llama_log_callback(lambda *_: None), ctypes.c_void_p())
    if llama_cpp.llama_model_quantize(args.model.encode(), args.out.encode(), ctypes.byref(params)) != 0:
        sys.exit(f"quantize_llama.py: error: llama.cpp did not quantize {args.model}")
    tensors = [{"name": one.name, "type": one.tensor_type.name, "shape": [int(n) for n in reversed(one.shape)],
                "bytes": int(one.n_bytes)} for one in GGUFReader(args.out).tensors]
    weights = sum(math.prod(one["shape"]) for one in tensors)
    print(json.dumps({"bytes": sum(one["bytes"] for one in tensors), "weights": weights,
                      "bits_per_weight": 8 * sum(one["bytes"] for one in tensors) / weights, "tensors": tensors}))


if __name__ == "__main__":
    main()
