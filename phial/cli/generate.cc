#include <algorithm>

#include "phial/cli/input.h"
#include "phial/cli/model_flags.h"
#include "phial/cli/pictures.h"
#include "phial/cli/verbs.h"

namespace phial::cli {
namespace {

Json logprobs_json(const std::vector<generate::TokenLogprob>& all) {
  Json list = Json::array();
  for (const auto& one : all) {
    Json best = Json::array();
    for (const auto& [id, logprob] : one.best) best.push_back({{"id", id}, {"logprob", logprob}});
    list.push_back({{"id", one.id}, {"logprob", one.logprob}, {"best", std::move(best)}});
  }
  return list;
}

double per_second(int tokens, double milliseconds) { return milliseconds > 0 ? tokens * 1000.0 / milliseconds : 0; }

struct Generate : Command {
  ModelFlags model;
  SamplingFlags sampling{.default_temperature = 0.7F, .sampling = {.top_p = 0.95F}};
  TextInput input;
  std::optional<std::string> ids_list;
  PictureFlags pictures;
  std::optional<int> logprobs;
  bool json = false, ignore_end = false;

  void describe(Flags& flags) override {
    model.describe_model(flags);
    input.describe(flags, "the prompt");
    flags.add("--ids", &ids_list, "LIST", "the prompt as token ids, 1,2,3 or @FILE; needs no tokenizer");
    pictures.describe(flags, "with --ids: a picture; id -k stands for one token of the k-th. May be repeated");
    flags.add("--json", json, "one JSON object: text, ids, prompt_tokens, stop, timings");
    flags.add("--logprobs", &logprobs, "N", "with --json: log-probabilities of each token and of the N best")
        .between(0, 1000);
    flags.add("--ignore-end", ignore_end, "go on past the model's end tokens");
    sampling.describe(flags);
    model.describe_running(flags);
    model.describe_prompt_cache(flags);
  }
  Status check() override {
    PHIAL_CHECKED(check_ids(ids_list, pictures.files.size()));
    if (!ids_list && !pictures.files.empty()) {
      return Error{Code::kInvalid, "--image without --ids", "'phial see' and 'phial chat' place pictures themselves"};
    }
    PHIAL_CHECKED(model.compute.check_kv());
    if (!ids_list) return input.check(true);
    if (input.given()) return Error{Code::kInvalid, "a text and --ids were given", "give one of them"};
    return ok();
  }

  Result<generate::GenerateRequest> request(Console& console) const {
    generate::GenerateRequest request;
    if (ids_list) {
      PHIAL_TRY(request.ids, read_ids(*ids_list, pictures.files.size()));
      PHIAL_TRY(request.pictures, pictures.read());
    } else {
      PHIAL_TRY(request.prompt, input.read());
    }
    sampling.apply(request);
    request.ignore_end = ignore_end;
    request.top_logprobs = logprobs.value_or(-1);
    request.cancel = console.stopped();
    return request;
  }

  std::string prompt_place() const {
    if (!ids_list) return input.place();
    return ids_list->starts_with("@") ? ids_list->substr(1) : "--ids";
  }

  Status run(Console& console) override {
    PHIAL_TRY(const auto asked, request(console));
    ThreadPool pool(model.compute.threads);
    PHIAL_TRY(const auto engine, model.open(pool, console));
    const bool has_text = engine->tokenizer().has_value();
    auto generated = engine->generate(asked, [&](std::string_view piece) {
      if (!json) console.write(piece);
    });
    // Longer than the context: of a text from a file, the person has not seen how long it is.
    if (!generated && generated.error().code == Code::kOutOfRange) {
      return std::move(generated).error().in(prompt_place());
    }
    PHIAL_TRY(const auto done, std::move(generated));
    if (json) {
      write_json(console, done, engine->name());
    } else if (has_text) {
      console.write("\n");
    } else {
      std::string ids;
      for (const int32_t id : done.ids) ids += (ids.empty() ? "" : " ") + std::to_string(id);
      console.write(ids + "\n");
    }
    console.log()(Severity::kDetail, std::to_string(done.prompt_tokens) + " tokens read, " +
                                         std::to_string(done.ids.size()) + " written, " +
                                         std::to_string(per_second(static_cast<int>(done.ids.size()), done.decode_ms)) +
                                         " a second; ended by " + std::string(name_of(done.stop)) + "; " +
                                         std::to_string(done.accepted_tokens) + " of " +
                                         std::to_string(done.drafted_tokens) + " drafted tokens were right");
    return engine->write_prompt_cache();
  }

  void write_json(Console& console, const generate::Generation& done, std::string_view name) const {
    const int written = static_cast<int>(done.ids.size());
    Json object = {{"text", done.text},
                   {"ids", done.ids},
                   {"prompt_tokens", done.prompt_tokens},
                   {"reused_tokens", done.reused_tokens},
                   {"stop", name_of(done.stop)},
                   {"model", name},
                   {"draft", {{"drafted", done.drafted_tokens}, {"accepted", done.accepted_tokens}}},
                   {"timings",
                    {{"prefill_ms", done.prefill_ms},
                     {"decode_ms", done.decode_ms},
                     {"first_token_ms", done.first_token_ms},
                     {"prefill_tps", per_second(done.prompt_tokens - done.reused_tokens, done.prefill_ms)},
                     {"decode_tps", per_second(std::max(0, written - 1), done.decode_ms)}}}};
    if (logprobs) object["logprobs"] = logprobs_json(done.logprobs);
    console.write(dump_json(object) + "\n");
  }
};

}  // namespace

std::unique_ptr<Command> make_generate() { return std::make_unique<Generate>(); }

}  // namespace phial::cli
