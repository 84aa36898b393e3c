#include <filesystem>
#include <vector>

#include "phial/base/json.h"
#include "phial/cli/verbs.h"
#include "phial/data/learn_tokenizer.h"

namespace phial::cli {
namespace {

struct DataTokenizer : Command {
  std::vector<std::string> inputs;
  std::string out;
  int vocab_size = 4096;
  bool json = false;

  void describe(Flags& flags) override {
    flags.argument("INPUT", &inputs, "a .jsonl file, one {\"text\": ...} a line, or a text file, one document")
        .offers(Completes::kPath)
        .must();
    flags.add("-o,--out", &out, "FOLDER", "where tokenizer.json and tokenizer_config.json go")
        .offers(Completes::kPath)
        .must();
    flags.add("--vocab-size", &vocab_size, "N", "tokens in all, the 256 bytes and the chat's markers among them")
        .at_least(1);
    flags.add("--json", json, "one JSON object: out, vocab_size, bytes");
  }

  Status run(Console& console) override {
    const std::vector<std::filesystem::path> paths(inputs.begin(), inputs.end());
    PHIAL_TRY(const data::LearnedTokenizer learned,
              data::learn_tokenizer(paths, static_cast<size_t>(vocab_size), out, console.stopped(),
                                    [&](std::string_view what, uint64_t done, uint64_t of) {
                                      console.progress(std::string(what) + ": " +
                                                       std::to_string(100 * done / std::max<uint64_t>(of, 1)) + " %");
                                    }));
    console.clear_progress();
    if (json) {
      console.write(dump_json({{"out", out}, {"vocab_size", learned.vocab_size}, {"bytes", learned.text_bytes}}) +
                    "\n");
    } else {
      console.write(std::to_string(learned.vocab_size) + " tokens of " + std::to_string(learned.text_bytes) +
                    " bytes of text\n");
      console.note("wrote '" + out + "'");
    }
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_data_tokenizer() { return make_command<DataTokenizer>(); }

}  // namespace phial::cli
