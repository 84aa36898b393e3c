#include <algorithm>
#include <filesystem>
#include <vector>

#include "phial/base/json.h"
#include "phial/cli/home.h"
#include "phial/cli/verbs.h"
#include "phial/data/pack.h"
#include "phial/generate/open_tokenizer.h"

namespace phial::cli {
namespace {

Json to_json(const data::PackedPart& part) {
  return {{"documents", part.documents}, {"tokens", part.tokens}, {"shards", part.shards}};
}

struct DataPack : Command {
  std::vector<std::string> inputs;
  std::optional<std::string> tokenizer;
  std::string out;
  int shard_tokens = 1 << 27;
  double held_out = 0;
  int threads = usable_cores();
  bool json = false;

  void describe(Flags& flags) override {
    flags.argument("INPUT", &inputs, "a .jsonl file, one {\"text\": ...} a line, or a text file, one document")
        .offers(Completes::kPath)
        .must();
    flags.add("-m,--tokenizer", &tokenizer, "M", "the model whose vocabulary is used").offers(Completes::kModel);
    flags.add("-o,--out", &out, "FOLDER", "where the shards go: FOLDER/train, FOLDER/held_out")
        .offers(Completes::kPath)
        .must();
    flags.add("--held-out", &held_out, "SHARE", "share of the documents to keep for judging").between(0, 0.9);
    flags.add("--shard-tokens", &shard_tokens, "N", "tokens after which a shard ends").at_least(1);
    flags.add("-t,--threads", &threads, "T", "threads that tokenize").between(1, 1024);
    flags.add("--json", json, "one JSON object: train and held_out, each with documents, tokens, shards; bytes");
  }

  Status run(Console& console) override {
    PHIAL_TRY(const auto path, find_model(tokenizer, ModelUse::kAnswers));
    PHIAL_TRY(const auto vocabulary, generate::open_tokenizer(path));
    ThreadPool pool(threads);
    const std::vector<std::filesystem::path> paths(inputs.begin(), inputs.end());
    PHIAL_TRY(
        const data::PackReport report,
        data::pack(paths, *vocabulary, out, {.shard_tokens = static_cast<uint64_t>(shard_tokens), .held_out = held_out},
                   pool, console.stopped(), [&](const data::PackProgress& progress) {
                     const uint64_t share = 100 * progress.bytes_read / std::max<uint64_t>(progress.bytes, 1);
                     console.progress("packing: " + std::to_string(share) + " %, " + std::to_string(progress.tokens) +
                                      " tokens");
                   }));
    if (json) {
      console.write(dump_json({{"out", out},
                               {"train", to_json(report.train)},
                               {"held_out", to_json(report.held_out)},
                               {"bytes", report.text_bytes}}) +
                    "\n");
      return ok();
    }
    const auto line = [&](const char* name, const data::PackedPart& part) {
      console.write(std::string(name) + ": " + std::to_string(part.tokens) + " tokens of " +
                    std::to_string(part.documents) + " documents in " + std::to_string(part.shards) + " shards\n");
    };
    line("train", report.train);
    if (held_out > 0) line("held_out", report.held_out);
    console.note("wrote '" + out + "'");
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_data_pack() { return make_command<DataPack>(); }

}  // namespace phial::cli
