#include <algorithm>
#include <utility>

#include "phial/capi/boundary.h"
#include "phial/capi/handles.h"
#include "phial/rag/open_embedder.h"

namespace phial::capi {
namespace {

constexpr size_t kTextsAtOnce = 64;  // between two looks at the cancellation

Status embed(LoadedEmbedder& embedder, std::span<const std::string> texts, const std::stop_token& cancel, float* to) {
  for (size_t done = 0; done < texts.size(); done += kTextsAtOnce) {
    if (cancel.stop_requested()) return Error{Code::kCancelled, "the call was stopped", ""};
    const auto some = texts.subspan(done, std::min(kTextsAtOnce, texts.size() - done));
    PHIAL_TRY(const auto rows, embedder.embed(some));
    to = std::copy(rows.begin(), rows.end(), to);
  }
  return ok();
}

}  // namespace

Status LoadedEmbedder::open(const std::string& path, const phial_embedder_options& options) {
  const auto precision = options.exact != 0 ? model::Precision::kExact : model::Precision::kFast;
  PHIAL_TRY(embedder_,
            rag::open_embedder(path, precision, options.copy != 0 ? LoadMode::kCopy : LoadMode::kMap, pool_));
  return ok();
}

}  // namespace phial::capi

using namespace phial::capi;  // NOLINT(google-build-using-namespace): this file defines C functions

phial_code phial_embedder_open(const char* path, const phial_embedder_options* options, phial_embedder** embedder,
                               phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(embedder, "the place for the embedder"));
    PHIAL_TRY(const std::string folder, read_text(path, "the embedder's path"));
    PHIAL_TRY(const phial_embedder_options given, read_options(options, sizeof(phial_embedder_options)));
    if (given.threads < 0) return phial::Error{phial::Code::kInvalid, "threads is below 0", "0 is the default"};
    auto loaded = std::make_shared<LoadedEmbedder>(given.threads > 0 ? given.threads : phial::usable_cores());
    PHIAL_CHECKED(loaded->open(folder, given));
    *embedder = new phial_embedder{std::move(loaded)};
    return phial::ok();
  });
}

void phial_embedder_free(phial_embedder* embedder) { delete embedder; }

size_t phial_embedder_dimension(const phial_embedder* embedder) {
  return embedder == nullptr ? 0 : static_cast<size_t>(embedder->loaded->identity().dim);
}

size_t phial_embedder_max_tokens(const phial_embedder* embedder) {
  return embedder == nullptr ? 0 : static_cast<size_t>(embedder->loaded->max_tokens());
}

phial_code phial_embedder_embed(phial_embedder* embedder, const char* const* texts, size_t count, float* vectors,
                                phial_cancel* cancel, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(embedder, "the embedder"));
    if (count > 0) PHIAL_CHECKED(check_given(vectors, "the place for the vectors"));
    PHIAL_TRY(const auto read, read_texts(texts, count, "a text"));
    const auto loaded = embedder->loaded;  // which another thread may free meanwhile
    return embed(*loaded, read, cancel != nullptr ? cancel->stop.get_token() : std::stop_token(), vectors);
  });
}
