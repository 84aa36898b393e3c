#include <filesystem>
#include <optional>
#include <string>

#include "phial/base/json.h"
#include "phial/cli/home.h"
#include "phial/cli/pictures.h"
#include "phial/cli/verbs.h"
#include "phial/convert/convert.h"

namespace phial::cli {
namespace {

struct ModelsConvert : Command {
  std::string in, out;
  std::optional<std::string> projector;
  bool json = false;

  void describe(Flags& flags) override {
    flags.argument("IN", &in, "a GGUF file, a Hugging Face folder, or a known name").offers(Completes::kModel).must();
    flags.argument("OUT", &out, "what to write: a folder, or a GGUF file").offers(Completes::kPath).must();
    add_projector_flag(flags, projector);
    flags.add("--json", json, "one JSON object: in, out, sees, projector");
  }
  Status run(Console& console) override {
    PHIAL_TRY(const auto path, find_model(in, ModelUse::kAnswers));
    PHIAL_TRY(const convert::Converted done,
              convert::convert_model(
                  path, out, {.projector = projector.value_or(""), .stop = console.stopped(), .log = console.log()}));
    const std::string eye = done.projector.string();
    console.note("wrote '" + out + "'" +
                 (!done.sees    ? ", which does not see pictures"
                  : eye.empty() ? ", which sees pictures"
                                : " and '" + eye + "', by which it sees pictures"));
    if (json) {
      console.write(dump_json({{"in", path.string()},
                               {"out", out},
                               {"sees", done.sees},
                               {"projector", eye.empty() ? Json() : Json(eye)}}) +
                    "\n");
    }
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_models_convert() { return make_command<ModelsConvert>(); }

}  // namespace phial::cli
