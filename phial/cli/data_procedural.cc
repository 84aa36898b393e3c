#include <filesystem>
#include <vector>

#include "phial/base/json.h"
#include "phial/cli/kinds.h"
#include "phial/cli/verbs.h"
#include "phial/data/procedural.h"

namespace phial::cli {
namespace {

struct DataProcedural : Command {
  std::string out, kinds = "all", part = "train", form = "text";
  uint64_t count = 0, bytes = 0, seed = 0;
  int easiest = data::kEasiest, hardest = data::kHardest;
  bool json = false;

  void describe(Flags& flags) override {
    flags.argument("OUT", &out, "the .jsonl file to write").offers(Completes::kPath).must();
    flags.add("--kind", &kinds, "KIND,...", kinds_help(data::exercise_kinds()));
    flags
        .add("--as", &form, "FORM",
             "what a line holds: a text, for 'phial data pack', or messages, for 'phial train sft'")
        .one_of({"text", "messages"});
    flags.add("--count", &count, "N", "lines; 0: as many as --bytes takes, else 10000").default_is("");
    flags.add("--bytes", &bytes, "N", "the file ends with the line that reaches this size").default_is("");
    flags.add("--seed", &seed, "S", "another one gives other lines");
    flags.add("--part", &part, "PART", "which examples are written").one_of({"train", "held-out"});
    flags.add("--easiest", &easiest, "LEVEL", "the lowest level of difficulty").between(data::kEasiest, data::kHardest);
    flags.add("--hardest", &hardest, "LEVEL", "the highest").between(data::kEasiest, data::kHardest);
    flags.add("--json", json, "one JSON object: out, rows, kinds, bytes");
  }
  Status check() override {
    if (easiest > hardest) {
      return Error{Code::kInvalid,
                   "--easiest " + std::to_string(easiest) + " is above --hardest " + std::to_string(hardest),
                   "lower --easiest or raise --hardest"};
    }
    if (count == 0 && bytes == 0) count = 10000;
    return read_kinds(kinds, data::exercise_kinds(), kind_names_);
  }

  Status run(Console& console) override {
    const auto rows_of = [](const data::ProceduralReport& report) {
      uint64_t rows = 0;
      for (const auto& [kind, of_kind] : report.rows) rows += of_kind;
      return rows;
    };
    PHIAL_TRY(const data::ProceduralReport report,
              data::write_procedural(out,
                                     {.kinds = kind_names_,
                                      .rows = count,
                                      .bytes = bytes,
                                      .seed = seed,
                                      .part = part == "train" ? data::Part::kTrain : data::Part::kHeldOut,
                                      .easiest = easiest,
                                      .hardest = hardest,
                                      .form = form == "text" ? data::RowForm::kText : data::RowForm::kConversation},
                                     console.stopped(), [&](const data::ProceduralReport& so_far) {
                                       console.progress("writing: " + std::to_string(rows_of(so_far)) + " lines, " +
                                                        std::to_string(so_far.bytes >> 20) + " MiB");
                                     }));
    console.clear_progress();
    if (json) {
      console.write(
          dump_json({{"out", out}, {"rows", rows_of(report)}, {"kinds", report.rows}, {"bytes", report.bytes}}) + "\n");
      return ok();
    }
    for (const auto& [kind, rows] : report.rows) console.write(kind + ": " + std::to_string(rows) + " lines\n");
    console.note("wrote '" + out + "'");
    return ok();
  }

 private:
  std::vector<std::string> kind_names_;
};

}  // namespace

std::unique_ptr<Command> make_data_procedural() { return make_command<DataProcedural>(); }

}  // namespace phial::cli
