#include "phial/cli/model_flags.h"
#include "phial/cli/pictures.h"
#include "phial/cli/verbs.h"
#include "phial/cli/word_wrap.h"

namespace phial::cli {
namespace {

struct See : Command {
  ModelFlags model;
  SamplingFlags sampling{.default_max_tokens = 500};
  std::string image, question;
  bool json = false;

  void describe(Flags& flags) override {
    flags.argument("IMAGE", &image, "a PNG, JPEG, WebP or GIF file").offers(Completes::kPath).must();
    flags.argument("QUESTION", &question, "what to ask about it").must();
    model.describe_model(flags);
    model.describe_projector(flags);
    flags.add("--json", json, "one JSON object: text, stop, prompt_tokens, timings");
    sampling.describe(flags);
    model.describe_running(flags);
  }
  Status check() override { return model.compute.check_kv(); }

  Status run(Console& console) override {
    PHIAL_TRY(generate::Picture picture, read_picture(image));
    ThreadPool pool(model.compute.threads);
    PHIAL_TRY(const auto engine, model.open(pool, console));
    PHIAL_CHECKED(engine->tokenizer());
    generate::GenerateRequest request;
    request.messages = {{"user", question, {std::move(picture)}}};
    sampling.apply(request);
    request.cancel = console.stopped();
    WordWrap wrap(console.output_columns());
    PHIAL_TRY(const auto done, engine->generate(request, [&](std::string_view piece) {
      if (!json) console.write(wrap.add(piece));
    }));
    if (done.stop == generate::StopReason::kCancelled) return Error{Code::kCancelled, "stopped", ""};
    if (!json) {
      console.write(wrap.finish() + "\n");
      return ok();
    }
    console.write(dump_json({{"text", done.text},
                             {"stop", name_of(done.stop)},
                             {"model", engine->name()},
                             {"prompt_tokens", done.prompt_tokens},
                             {"timings", {{"first_token_ms", done.first_token_ms}, {"decode_ms", done.decode_ms}}}}) +
                  "\n");
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_see() { return std::make_unique<See>(); }

}  // namespace phial::cli
