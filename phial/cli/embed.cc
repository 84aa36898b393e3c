#include <algorithm>

#include "phial/base/utf8.h"
#include "phial/cli/compute_flags.h"
#include "phial/cli/home.h"
#include "phial/cli/input.h"
#include "phial/cli/verbs.h"
#include "phial/formats/npy.h"
#include "phial/rag/open_embedder.h"

namespace phial::cli {
namespace {

constexpr size_t kLinesAtOnce = 64;

struct Embed : Command {
  std::optional<std::string> model, out;
  TextInput input;
  bool json = false;
  // Vectors that leave the program are compared with those of others: exact unless asked otherwise.
  ComputeFlags compute{.precision = "exact"};

  void describe(Flags& flags) override {
    flags.add("-m,--model", &model, "M", "a Hugging Face folder of a BERT-like model, or a known name")
        .offers(Completes::kModel);
    input.describe(flags, "the texts, one a line", false);
    flags.add("--out", &out, "FILE", "an .npy file, float32 [lines, dim]; else one JSON array a line")
        .offers(Completes::kPath);
    flags.add("--json", json, "one JSON object a line: text and embedding");
    compute.describe(flags);
  }
  Status check() override {
    if (!json || !out) return input.check(false);
    return Error{Code::kInvalid, "both --json and --out were given", "give one of them"};
  }

  Status run(Console& console) override {
    PHIAL_TRY(const auto path, find_model(model, ModelUse::kSearch));
    ThreadPool pool(compute.threads);
    PHIAL_TRY(const auto embedder, rag::open_embedder(path, compute.chosen_precision(), compute.load_mode(), pool));
    PHIAL_TRY(const std::string text, input.read());
    const std::vector<std::string> lines = split_lines(text);

    const auto dim = static_cast<size_t>(embedder->identity().dim);
    std::vector<float> rows;
    for (size_t at = 0; at < lines.size(); at += kLinesAtOnce) {
      if (console.stopped().stop_requested()) return Error{Code::kCancelled, "stopped", ""};
      const size_t count = std::min(kLinesAtOnce, lines.size() - at);
      PHIAL_TRY(const auto some, embedder->embed(std::span(lines).subspan(at, count)));
      if (out) {
        rows.insert(rows.end(), some.begin(), some.end());
        console.progress("embed: " + std::to_string(at + count) + " of " + std::to_string(lines.size()) + " lines");
      } else {
        for (size_t row = 0; row < count; ++row) {
          const auto values = std::span(some).subspan(row * dim, dim);
          const Json vector(std::vector<float>(values.begin(), values.end()));
          console.write(
              (json ? dump_json({{"text", repair_utf8(lines[at + row])}, {"embedding", vector}}) : dump_json(vector)) +
              "\n");
        }
      }
    }
    if (!out) return ok();
    const uint64_t shape[] = {lines.size(), dim};
    return formats::write_npy(*out, shape, rows);
  }
};

}  // namespace

std::unique_ptr<Command> make_embed() { return std::make_unique<Embed>(); }

}  // namespace phial::cli
