#include <filesystem>

#include "phial/base/json.h"
#include "phial/cli/home.h"
#include "phial/cli/verbs.h"
#include "phial/convert/convert.h"

namespace phial::cli {
namespace {

struct ModelsConvert : Command {
  std::string in, out;
  bool json = false;

  void describe(Flags& flags) override {
    flags.argument("IN", &in, "a GGUF file, a Hugging Face folder, or a known name").offers(Completes::kModel).must();
    flags.argument("OUT", &out, "what to write: a folder, or a GGUF file").offers(Completes::kPath).must();
    flags.add("--json", json, "one JSON object: in, out");
  }
  Status run(Console& console) override {
    PHIAL_TRY(const auto path, find_model(in, ModelUse::kAnswers));
    PHIAL_CHECKED(convert::convert_model(path, out, console.stopped()));
    console.note("wrote '" + out + "'");
    if (json) console.write(dump_json({{"in", path.string()}, {"out", out}}) + "\n");
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_models_convert() { return make_command<ModelsConvert>(); }

}  // namespace phial::cli
