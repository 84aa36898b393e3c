#include "phial/cli/model_flags.h"

#include "phial/base/decimal.h"
#include "phial/base/today.h"
#include "phial/cli/home.h"
#include "phial/cli/pictures.h"

namespace phial::cli {
namespace {

std::string one_decimal(float value) { return decimal("%.1f", static_cast<double>(value)); }

}  // namespace

void ModelFlags::describe_model(Flags& flags) {
  flags.add("-m,--model", &model, "M", "a GGUF file, a Hugging Face folder, or a name of 'phial models list'")
      .offers(Completes::kModel);
}

void ModelFlags::describe_running(Flags& flags) {
  compute.describe(flags);
  flags
      .add("--context", &context, "N",
           "tokens that prompt and answer may have together; the default is the model's own, at most 4096")
      .between(1, 1 << 26)
      .default_is("");
  compute.describe_kv(flags);
  flags
      .add(
          "--draft", &draft, "M",
          "a smaller model with the same vocabulary that drafts what this one checks; the default drafts from the text "
          "so far; off: one token at a time. The answer is the same, only its speed differs")
      .offers(Completes::kModel);
}

void ModelFlags::describe_projector(Flags& flags) { add_projector_flag(flags, projector); }

void ModelFlags::describe_prompt_cache(Flags& flags) {
  flags
      .add("--prompt-cache", &prompt_cache, "FILE",
           "keeps the model's keys and values of prompts in FILE, so that a later run whose prompt begins alike starts "
           "sooner. The answer is the same. FILE tells what was said, and only its owner can read it")
      .offers(Completes::kPath);
}

Result<std::unique_ptr<generate::Engine>> ModelFlags::open(ThreadPool& pool, Console& console) const {
  PHIAL_TRY(const auto path, find_model(model, ModelUse::kAnswers));
  if (!model) {
    console.note("using the default model " + path.filename().string() +
                 "; a larger one answers better: name it with --model, or 'phial models add' it");
  }
  generate::EngineOptions options;
  options.precision = compute.chosen_precision();
  options.kv_type = compute.chosen_kv();
  options.context_tokens = context;
  options.load = compute.load_mode();
  options.window_extra = compute.window_extra;
  options.date = today();
  options.projector = projector.value_or("");
  options.prompt_cache = prompt_cache.value_or("");
  options.log = console.log();
  if (draft == "off") {
    options.drafting = generate::Drafting::kOff;
  } else if (draft) {
    options.drafting = generate::Drafting::kModel;
    PHIAL_TRY(options.draft_model, find_model(draft, ModelUse::kAnswers));
  }
  return generate::Engine::open(path, options, pool);
}

void SamplingFlags::describe(Flags& flags) {
  flags.group("How it writes");
  flags.add("-n,--max-tokens", &max_tokens, "N", "at most N tokens")
      .between(1, 1 << 20)
      .default_is(std::to_string(default_max_tokens));
  flags.add("--greedy", greedy, "always the likeliest token; as --temperature 0");
  flags.add("--temperature", &temperature, "T", "0 is greedy, 1 as the model was trained")
      .between(0, 100)
      .default_is(one_decimal(default_temperature));
  flags.add("--top-k", &sampling.top_k, "K", "among the K likeliest tokens; 0: all").at_least(0);
  flags.add("--top-p", &sampling.top_p, "P", "among the likeliest that make up P together").between(1e-6, 1);
  flags.add("--min-p", &sampling.min_p, "P", "among those at least P times as likely as the likeliest").between(0, 1);
  flags.add("--repeat-penalty", &sampling.repeat_penalty, "R", "makes recent tokens less likely; 1: off")
      .between(0.01, 100);
  flags.add("--seed", &sampling.seed, "S", "the same seed gives the same text");
  flags.add("--stop", &stop, "S", "end before this text; may be repeated").one_each();
}

generate::SamplingOptions SamplingFlags::chosen() const {
  generate::SamplingOptions options = sampling;
  options.temperature = greedy ? 0 : temperature.value_or(default_temperature);
  return options;
}

void SamplingFlags::apply(generate::GenerateRequest& request) const {
  request.max_tokens = chosen_max_tokens();
  request.within_context = !max_tokens;  // nobody asked for the default number
  request.sampling = chosen();
  request.stop = stop;
}

}  // namespace phial::cli
