#include "phial/cli/compute_flags.h"

namespace phial::cli {

void ComputeFlags::describe(Flags& flags) {
  flags.group("How it runs");
  flags.add("--precision", &precision, "P", "exact keeps activations and KV in f32; fast is what the machine does best")
      .one_of({"exact", "fast"});
  flags.add("-t,--threads", &threads, "T", "threads; the default is the cores this process may use").between(1, 1024);
  flags.add("--load", &load, "HOW", "map the model's file or copy it into memory").one_of({"map", "copy"});
  flags.add("--window-extra", &window_extra, "N", "1: a sliding window counts the current token extra").between(0, 1);
}

void ComputeFlags::describe_kv(Flags& flags) {
  flags
      .add("--kv", &kv, "TYPE",
           "how fast precision keeps keys and values: f16, q8 (half of it), q4 (a third; answers change); "
           "exact keeps f32")
      .one_of({"f16", "q8", "q4"});
}

Status ComputeFlags::check_kv() const {
  if (precision == "fast" || kv == "f16") return ok();
  return Error{Code::kInvalid, "--kv " + kv + " with exact precision, which keeps keys and values in f32",
               "add --precision fast, or leave --kv out"};
}

model::Precision ComputeFlags::chosen_precision() const {
  return precision == "exact" ? model::Precision::kExact : model::Precision::kFast;
}

model::KvType ComputeFlags::chosen_kv() const {
  return kv == "q8" ? model::KvType::kQ8 : kv == "q4" ? model::KvType::kQ4 : model::KvType::kF16;
}

LoadMode ComputeFlags::load_mode() const { return load == "map" ? LoadMode::kMap : LoadMode::kCopy; }

Result<std::unique_ptr<model::Decoder>> ComputeFlags::load_decoder(const std::filesystem::path& path,
                                                                   const LoadRequest& request, ThreadPool& pool,
                                                                   const Log& log) const {
  PHIAL_TRY(auto opened, formats::Checkpoint::open(path, load_mode()));
  const auto checkpoint = std::make_shared<const formats::Checkpoint>(std::move(opened));
  PHIAL_TRY(const spec::DecoderSpec spec, model::Decoder::read_spec(*checkpoint, window_extra));
  if (request.context_tokens > spec.context && !request.beyond_context) {
    return Error{Code::kOutOfRange,
                 std::to_string(request.context_tokens) + " tokens exceed the context of " +
                     std::to_string(spec.context) + " (" + path.string() + ")",
                 "give fewer"};
  }
  PHIAL_TRY(const model::MemoryPlan plan,
            model::Decoder::plan(
                *checkpoint, spec, chosen_precision(), pool.threads(),
                {.context_tokens = request.context_tokens, .kv = chosen_kv(), .keeps_logits = request.keeps_logits}));
  log(Severity::kDetail, "memory plan: " + plan.text());
  PHIAL_CHECKED(plan.check(path, model::ContextIs::kTokens));
  return model::Decoder::load(checkpoint, spec, chosen_precision(), pool, log);
}

}  // namespace phial::cli
