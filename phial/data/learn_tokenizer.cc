#include "phial/data/learn_tokenizer.h"

#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/json_writer.h"
#include "phial/base/output_file.h"
#include "phial/formats/documents.h"
#include "phial/spec/chat_format.h"
#include "phial/tokenizer/bpe_trainer.h"

namespace phial::data {
namespace {

constexpr size_t kBytes = 256;
constexpr uint64_t kProgressBytes = uint64_t{1} << 20;

const std::vector<std::string>& phi3_markers() {
  static const std::vector<std::string> kMarkers = {"<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>",
                                                    "<|end|>"};
  return kMarkers;
}

Status read_documents(std::span<const std::filesystem::path> inputs, tokenizer::BpeTrainer& trainer,
                      const std::stop_token& stop, const LearningProgress& on_progress) {
  std::vector<formats::DocumentReader> readers;
  uint64_t bytes = 0, before = 0, told = 0;
  for (const std::filesystem::path& input : inputs) {
    PHIAL_TRY(auto reader, formats::DocumentReader::open(input));
    bytes += reader.bytes();
    readers.push_back(std::move(reader));
  }
  for (formats::DocumentReader& reader : readers) {
    for (;;) {
      PHIAL_TRY(const auto text, reader.next());
      if (!text) break;
      if (stop.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
      trainer.add(*text);
      if (trainer.text_bytes() - told < kProgressBytes) continue;
      told = trainer.text_bytes();
      on_progress("reading", before + reader.bytes_read(), bytes);
    }
    before += reader.bytes();
  }
  if (trainer.text_bytes() > 0) return ok();
  return Error{Code::kInvalid, "there is no text in " + (inputs.empty() ? "no file" : inputs.front().string()),
               "name files with text"};
}

}  // namespace

Result<LearnedTokenizer> learn_tokenizer(std::span<const std::filesystem::path> inputs, size_t vocab_size,
                                         const std::filesystem::path& out, const std::stop_token& stop,
                                         const LearningProgress& on_progress) {
  if (vocab_size < kBytes + phi3_markers().size()) {
    return Error{Code::kInvalid,
                 "a vocabulary of " + std::to_string(vocab_size) + " has no room for the bytes and the chat's markers",
                 "take at least " + std::to_string(kBytes + phi3_markers().size())};
  }
  LearnedTokenizer learned;
  const Status written = write_beside(out, [&](const std::filesystem::path& partial) -> Status {
    tokenizer::BpeTrainer trainer;
    PHIAL_CHECKED(read_documents(inputs, trainer, stop, on_progress));
    PHIAL_TRY(const tokenizer::BpeVocabulary vocabulary,
              trainer.learn(vocab_size, phi3_markers(), stop,
                            [&](size_t pieces) { on_progress("learning", pieces, vocab_size); }));
    learned = {.vocab_size = vocabulary.special_tokens.size() + vocabulary.pieces.size(),
               .text_bytes = trainer.text_bytes()};
    const spec::ChatFormat& format = spec::chat_format_for([](std::string_view text) { return text == "<|end|>"; });
    PHIAL_CHECKED(make_folders(partial));
    PHIAL_CHECKED(write_json_file(partial / "tokenizer.json", tokenizer_json_of(vocabulary), 1));
    return write_json_file(partial / "tokenizer_config.json",
                           {{"tokenizer_class", "PreTrainedTokenizerFast"},
                            {"bos_token", nullptr},
                            {"eos_token", phi3_markers().front()},
                            {"pad_token", phi3_markers().front()},
                            {"chat_template", format.template_text}},
                           1);
  });
  if (!written) return written.error();
  return learned;
}

}  // namespace phial::data
