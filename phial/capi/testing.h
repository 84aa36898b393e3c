// What this room's tests share: handles that free themselves, and the models of testdata.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "phial/capi/phial.h"

namespace phial::capi {

template <auto Free>
struct Freeing {
  template <class Handle>
  void operator()(Handle* handle) const {
    Free(handle);
  }
};
using Model = std::unique_ptr<phial_model, Freeing<phial_model_free>>;
using Session = std::unique_ptr<phial_session, Freeing<phial_session_free>>;
using Image = std::unique_ptr<phial_image, Freeing<phial_image_free>>;
using Embedder = std::unique_ptr<phial_embedder, Freeing<phial_embedder_free>>;
using Library = std::unique_ptr<phial_library, Freeing<phial_library_free>>;
using Answer = std::unique_ptr<phial_answer, Freeing<phial_answer_free>>;
using Cancel = std::unique_ptr<phial_cancel, Freeing<phial_cancel_free>>;

inline std::string golden(const std::string& name) { return std::string(PHIAL_TESTDATA) + "/golden/" + name; }

template <class Options>
Options defaults() {
  Options options{};
  options.size = sizeof options;
  return options;
}

inline Model open_model(const std::string& path, phial_model_options options = defaults<phial_model_options>()) {
  if (options.threads == 0) options.threads = 2;
  phial_model* model = nullptr;
  phial_error error{};
  EXPECT_EQ(phial_model_open(path.c_str(), &options, &model, &error), PHIAL_OK) << error.message;
  return Model(model);
}

inline Session new_session(const Model& model) {
  phial_session* session = nullptr;
  phial_error error{};
  EXPECT_EQ(phial_session_new(model.get(), &session, &error), PHIAL_OK) << error.message;
  return Session(session);
}

// A callback that collects.
inline int collect(void* text, const char* piece, size_t bytes) {
  EXPECT_EQ(piece[bytes], '\0');
  static_cast<std::string*>(text)->append(piece, bytes);
  return 0;
}

inline phial_generation generation_of(const Session& session) {
  auto generation = defaults<phial_generation>();
  phial_error error{};
  EXPECT_EQ(phial_session_get_generation(session.get(), &generation, &error), PHIAL_OK) << error.message;
  return generation;
}

// What the model writes after `prompt`, `n` tokens of it.
inline std::string complete(const Session& session, const std::string& prompt, int n) {
  auto options = defaults<phial_generate_options>();
  options.max_tokens = n;
  options.ignore_end = 1;
  phial_error error{};
  std::string text;
  EXPECT_EQ(phial_session_complete(session.get(), prompt.c_str(), &options, collect, &text, &error), PHIAL_OK)
      << error.message;
  return text;
}

}  // namespace phial::capi
