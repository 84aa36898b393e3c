// A model from a GGUF file to a Hugging Face folder, or the other way round: what it computes stays the same.
//
// Weights in F32, F16 and BF16 are written as stored, all others decoded to F32; norms and biases are F32. Errors:
// kUnsupported names what the other side cannot express, kInvalid an output that is there already, kIo, kCancelled.
// A Hugging Face folder that sees becomes two GGUF files, that of its eye called as projector_beside() says; of a GGUF
// file that has such a one beside it both are read. Nothing but the whole output ever stands at its place. Memory: the
// norms, and a piece of one matrix.
#pragma once

#include <filesystem>
#include <stop_token>

#include "phial/base/result.h"

namespace phial::convert {

Status convert_model(const std::filesystem::path& in, const std::filesystem::path& out, const std::stop_token& stop);

}  // namespace phial::convert
