// A model from a GGUF file to a Hugging Face folder, or the other way round: what it computes stays the same.
//
// Weights in F32, F16 and BF16 are written as stored, all others decoded to F32; norms and biases are F32. Errors:
// kUnsupported names what the other side cannot express, kInvalid an output that is there already, kIo, kCancelled.
// A Hugging Face folder that sees becomes two GGUF files, that of its eye called as projector_beside() says, where then
// nothing may stand, nor where the model is blind: it would see by a foreign eye. Of a GGUF file its eye is read too,
// as ImageEncoder::find() finds it. Nothing but the whole output ever stands at its place. Memory: the norms, and a
// piece of one matrix.
#pragma once

#include <filesystem>
#include <stop_token>

#include "phial/base/log.h"
#include "phial/base/result.h"

namespace phial::convert {

struct ConvertOptions {
  std::filesystem::path projector = {};  // the image encoder of a GGUF file; empty: the one beside it, if there is one
  std::stop_token stop = {};
  Log log = no_log;
};

struct Converted {
  bool sees = false;
  std::filesystem::path projector = {};  // the file of its eye, of a GGUF file that sees
};

Result<Converted> convert_model(const std::filesystem::path& in, const std::filesystem::path& out,
                                const ConvertOptions& options = {});

}  // namespace phial::convert
