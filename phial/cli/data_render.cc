#include <filesystem>
#include <vector>

#include "phial/base/json.h"
#include "phial/cli/kinds.h"
#include "phial/cli/verbs.h"
#include "phial/data/render.h"

namespace phial::cli {
namespace {

struct DataRender : Command {
  std::string out, kinds = "all", part = "train";
  std::vector<std::string> fonts;
  uint64_t count = 1000, seed = 0;
  int questions = 1, size = 336, threads = usable_cores();
  bool json = false;

  void describe(Flags& flags) override {
    flags.argument("FOLDER", &out, "where the pictures and conversations.jsonl go").offers(Completes::kPath).must();
    flags.add("--kind", &kinds, "KIND,...", kinds_help(data::picture_kinds()));
    flags.add("--count", &count, "N", "pictures").at_least(1);
    flags.add("--seed", &seed, "S", "another one gives other pictures");
    flags.add("--part", &part, "PART", "which examples are drawn").one_of({"train", "held-out"});
    flags.add("--questions", &questions, "N", "about each picture, at most, one after the other").between(1, 100);
    flags.add("--size", &size, "PIXELS", "width and height").between(data::kLeastPictureSize, data::kMostPictureSize);
    flags.add("--font", &fonts, "FILE", "draw text with this TrueType or OpenType font; again: several in turn")
        .offers(Completes::kPath)
        .one_each();
    flags.add("-t,--threads", &threads, "T", "threads that draw").between(1, 1024);
    flags.add("--json", json, "one JSON object: out, pictures, kinds");
  }
  Status check() override { return read_kinds(kinds, data::picture_kinds(), kind_names_); }

  Status run(Console& console) override {
    ThreadPool pool(threads);
    PHIAL_TRY(const data::RenderReport report,
              data::render(out,
                           {.kinds = kind_names_,
                            .count = count,
                            .seed = seed,
                            .part = part == "train" ? data::Part::kTrain : data::Part::kHeldOut,
                            .questions = questions,
                            .size = size,
                            .fonts = {fonts.begin(), fonts.end()}},
                           pool, console.stopped(), [&](uint64_t done) {
                             console.progress("drawing: " + std::to_string(done) + " of " + std::to_string(count));
                           }));
    console.clear_progress();
    if (json) {
      console.write(dump_json({{"out", out}, {"pictures", count}, {"kinds", report.pictures}}) + "\n");
      return ok();
    }
    for (const auto& [kind, pictures] : report.pictures) {
      console.write(kind + ": " + std::to_string(pictures) + " pictures\n");
    }
    console.note("wrote '" + out + "'");
    return ok();
  }

 private:
  std::vector<std::string> kind_names_;
};

}  // namespace

std::unique_ptr<Command> make_data_render() { return make_command<DataRender>(); }

}  // namespace phial::cli
