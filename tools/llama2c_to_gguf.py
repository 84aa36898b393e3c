#!/usr/bin/env python3
"""A model of llama2.c (weights of "version 0" and its tokenizer) -> a GGUF file in F32, for benches with tiny trained
weights (stories260K).

    python3 tools/llama2c_to_gguf.py stories260K.bin tok512.bin stories260K.gguf

Needs the Python packages gguf and numpy. llama2.c rotates adjacent pairs, as GGUF's "llama" does: rows stay as they are.
"""

import struct
import sys

import gguf
import numpy as np


def read_tokens(path: str, count: int):
    data = open(path, "rb").read()
    at, tokens, scores, kinds = 4, [], [], []
    special = {0: (b"<unk>", gguf.TokenType.UNKNOWN), 1: (b"<s>", gguf.TokenType.CONTROL), 2: (b"</s>", gguf.TokenType.CONTROL)}
    for number in range(count):
        score, length = struct.unpack_from("<fi", data, at)
        text = data[at + 8:at + 8 + length]
        at += 8 + length
        is_byte = text.startswith(b"<0x") and len(text) == 6
        text, kind = special.get(number, (text.replace(b" ", "\u2581".encode()), gguf.TokenType.BYTE if is_byte else gguf.TokenType.NORMAL))
        tokens.append(text)
        scores.append(score)
        kinds.append(kind)
    return tokens, scores, kinds


def main() -> None:
    weights_path, tokens_path, out = sys.argv[1:]
    raw = open(weights_path, "rb").read()
    dim, ffn, layers, heads, kv_heads, vocab, context = struct.unpack_from("<7i", raw)
    if vocab < 0:
        sys.exit(f"{weights_path}: the output matrix stands apart; only tied ones are known")
    numbers = np.frombuffer(raw, "<f4", offset=28)
    kv = dim // heads * kv_heads
    at = 0

    def take(*shape: int) -> np.ndarray:
        nonlocal at
        size = int(np.prod(shape))
        at += size
        return numbers[at - size:at].reshape(shape)

    order = [("attn_norm", (dim,)), ("attn_q", (dim, dim)), ("attn_k", (kv, dim)), ("attn_v", (kv, dim)),
             ("attn_output", (dim, dim)), ("ffn_norm", (dim,)), ("ffn_gate", (ffn, dim)), ("ffn_down", (dim, ffn)),
             ("ffn_up", (ffn, dim))]
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_tensor("token_embd.weight", take(vocab, dim))
    for name, shape in order:
        for layer, matrix in enumerate(take(layers, *shape)):
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix)
    writer.add_tensor("output_norm.weight", take(dim))

    writer.add_context_length(context)
    writer.add_embedding_length(dim)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(dim // heads)
    writer.add_vocab_size(vocab)
    tokens, scores, kinds = read_tokens(tokens_path, vocab)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
