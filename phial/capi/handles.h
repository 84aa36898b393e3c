// What is behind the opaque pointers of phial.h.
//
// What sessions and libraries go on using after their model or embedder was freed is shared.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "phial/base/thread_pool.h"
#include "phial/capi/phial.h"
#include "phial/generate/shared_engine.h"
#include "phial/rag/answer.h"
#include "phial/rag/ingest.h"
#include "phial/rag/retrieve.h"
#include "phial/rag/store.h"

namespace phial::capi {

struct LoadedModel {
  explicit LoadedModel(int threads) : pool(threads) {}

  ThreadPool pool;
  std::unique_ptr<generate::SharedEngine> engine;
};

// An embedder whose calls wait for one another.
class LoadedEmbedder final : public rag::Embedder {
 public:
  explicit LoadedEmbedder(int threads) : pool_(threads) {}
  Status open(const std::string& path, const phial_embedder_options& options);

  rag::EmbedderIdentity identity() const override { return embedder_->identity(); }
  int max_tokens() const override { return embedder_->max_tokens(); }
  int count_tokens(std::string_view text) const override { return embedder_->count_tokens(text); }
  Result<std::vector<float>> embed(std::span<const std::string> texts) override {
    const std::scoped_lock one_at_a_time(mutex_);
    return embedder_->embed(texts);
  }
  Result<std::vector<std::vector<float>>> read(std::string_view question,
                                               std::span<const rag::PassageSentences> passages) override {
    const std::scoped_lock one_at_a_time(mutex_);
    return embedder_->read(question, passages);
  }

 private:
  ThreadPool pool_;
  std::mutex mutex_;
  std::unique_ptr<rag::Embedder> embedder_;
};

// What is kept between questions: the vectors of the library in memory. Null while a question is answered, so that a
// failed one leaves nothing half done behind; one that was stopped keeps what was read.
struct Asker {
  Asker(rag::Store& store, std::shared_ptr<LoadedEmbedder> with, std::shared_ptr<LoadedModel> by)
      : embedder(std::move(with)),
        model(std::move(by)),
        answerer(store, *embedder, model != nullptr ? model->engine.get() : nullptr) {}

  std::shared_ptr<LoadedEmbedder> embedder;
  std::shared_ptr<LoadedModel> model;
  rag::Answerer answerer;
};

}  // namespace phial::capi

struct phial_cancel {
  std::stop_source stop;
};

struct phial_model {
  std::shared_ptr<phial::capi::LoadedModel> loaded;
};

struct phial_image {
  phial::generate::Picture picture;
};

struct phial_session {
  std::shared_ptr<phial::capi::LoadedModel> model;
  std::optional<phial::generate::Generation> generation = std::nullopt;
};

struct phial_embedder {
  std::shared_ptr<phial::capi::LoadedEmbedder> loaded;
};

struct phial_library {
  std::shared_ptr<phial::capi::LoadedEmbedder> embedder;
  std::unique_ptr<phial::rag::Store> store;
  std::string reader;
  std::unique_ptr<phial::capi::Asker> asker = nullptr;
  std::unique_ptr<phial::rag::Retriever> retriever = nullptr;
  std::vector<phial::rag::IngestProblem> problems = {};
};

struct phial_answer {
  phial::rag::Answer answer;
  std::string json;
};
