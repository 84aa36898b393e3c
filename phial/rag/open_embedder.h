// Opening the model that search uses: an encoder with its tokenizer.
#pragma once

#include <filesystem>
#include <memory>

#include "phial/base/mapped_file.h"
#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/model/decoder.h"
#include "phial/rag/embed.h"

namespace phial::rag {

// `model`: a Hugging Face folder of a BERT-like model; kUnsupported for another. If it has a folder `reader` with a
// LoRA adapter (model/span_reader.h), the embedder reads with it. The pool outlives the embedder.
Result<std::unique_ptr<Embedder>> open_embedder(const std::filesystem::path& model, model::Precision precision,
                                                LoadMode load, ThreadPool& pool);

}  // namespace phial::rag
