#include "phial/base/json.h"
#include "phial/cli/home.h"
#include "phial/cli/verbs.h"
#include "phial/convert/merge_lora.h"

namespace phial::cli {
namespace {

struct ModelsMerge : Command {
  std::string base, adapter, out;
  bool json = false;

  void describe(Flags& flags) override {
    flags.argument("MODEL", &base, "the Hugging Face folder that the adapter was trained on, or a known name")
        .offers(Completes::kModel)
        .must();
    flags.argument("ADAPTER", &adapter, "the folder that PEFT saved").offers(Completes::kPath).must();
    flags.argument("OUT", &out, "the folder to write").offers(Completes::kPath).must();
    flags.add("--json", json, "one JSON object: model, adapter, out");
  }
  Status run(Console& console) override {
    PHIAL_TRY(const auto path, find_model(base, ModelUse::kAnswers));
    PHIAL_CHECKED(convert::merge_lora(path, adapter, out, console.stopped()));
    console.note("wrote '" + out + "'");
    if (json) {
      console.write(dump_json({{"model", path.string()}, {"adapter", adapter}, {"out", out}}) + "\n");
    }
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_models_merge() { return make_command<ModelsMerge>(); }

}  // namespace phial::cli
