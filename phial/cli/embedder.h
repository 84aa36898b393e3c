// Opening the model that search uses: an encoder with its tokenizer.
#pragma once

#include <filesystem>
#include <memory>

#include "phial/cli/compute_flags.h"
#include "phial/rag/embed.h"

namespace phial::cli {

Result<std::unique_ptr<rag::Embedder>> load_embedder(const std::filesystem::path& model, const ComputeFlags& compute,
                                                     ThreadPool& pool);

}  // namespace phial::cli
