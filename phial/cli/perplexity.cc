#include "phial/generate/perplexity.h"

#include "phial/cli/input.h"
#include "phial/cli/model_flags.h"
#include "phial/cli/verbs.h"

namespace phial::cli {
namespace {

constexpr int kContext = 512;

struct PerplexityCommand : Command {
  std::optional<std::string> model;
  std::string file;
  std::optional<int> asked_context;
  bool json = false;
  ComputeFlags compute{.precision = "exact"};

  void describe(Flags& flags) override {
    flags.add("-m,--model", &model, "M", "a GGUF file, a Hugging Face folder, or a known name")
        .offers(Completes::kModel);
    flags.argument("FILE", &file, "a text").offers(Completes::kPath).must();
    flags.add("--context", &asked_context, "N", "tokens a window")
        .between(2, 1 << 20)
        .default_is(std::to_string(kContext) + ", or the model's own");
    flags.add("--json", json, "one JSON object: perplexity, nll_sum, scored, tokens, context");
    compute.describe(flags);
    compute.describe_kv(flags);
  }
  Status check() override { return compute.check_kv(); }

  Status run(Console& console) override {
    PHIAL_TRY(const std::string text, read_input_file(file));
    ModelFlags flags{.model = model, .context = asked_context.value_or(0), .compute = compute};
    ThreadPool pool(compute.threads);
    PHIAL_TRY(const auto engine, flags.open(pool, console));
    PHIAL_TRY(const auto* tokenizer, engine->tokenizer());
    const auto ids = tokenizer->encode(text);
    const int context = asked_context.value_or(std::min(kContext, engine->context_tokens()));
    auto measured = generate::perplexity(*engine, ids, context, console.stopped(), [&](size_t done, size_t total) {
      console.progress("perplexity: window " + std::to_string(done) + " of " + std::to_string(total));
    });
    if (!measured && measured.error().code == Code::kInvalid) return std::move(measured).error().in(file);
    PHIAL_TRY(const auto found, std::move(measured));
    if (json) {
      console.write(dump_json({{"perplexity", found.value()},
                               {"nll_sum", found.nll_sum},
                               {"scored", found.scored},
                               {"tokens", ids.size()},
                               {"context", context},
                               {"model", engine->name()}}) +
                    "\n");
    } else {
      console.write(std::to_string(found.value()) + "\n");
    }
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_perplexity() { return std::make_unique<PerplexityCommand>(); }

}  // namespace phial::cli
