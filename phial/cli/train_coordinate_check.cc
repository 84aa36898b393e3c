#include <algorithm>

#include "phial/base/decimal.h"
#include "phial/base/json.h"
#include "phial/cli/input.h"
#include "phial/cli/train_verbs.h"
#include "phial/train/coordinate_check.h"

namespace phial::cli {
namespace {

struct CoordinateCheckCommand : Command {
  train::CoordinateCheckOptions options;
  std::string widths = "64,128,256";
  bool no_mup = false, json = false;

  void describe(Flags& flags) override {
    flags.add("--widths", &widths, "LIST", "hidden widths, multiples of 16; the narrowest is the base");
    flags.add("--no-mup", no_mup, "the standard parametrisation, to see the check fail");
    flags.add("--small", options.small, "Phi-3-small's block instead of Phi-3-mini's");
    flags.add("--layers", &options.layers, "L", "layers").between(1, 64);
    flags.add("--steps", &options.steps, "N", "steps of training").between(2, 1000);
    flags.add("--seeds", &options.seeds, "N", "runs of each width, averaged").between(1, 100);
    flags.add("--lr", &options.lr, "X", "the learning rate; a high one shows more").between(1e-9, 10);
    flags.add("--json", json, "one JSON object: mup, widths, coordinates, largest_slope, smallest_slope, flat");
  }

  Status run(Console& console) override {
    options.mup = !no_mup;
    PHIAL_TRY(const std::vector<int32_t> listed, parse_ids(widths, "--widths"));
    options.widths.assign(listed.begin(), listed.end());
    PHIAL_TRY(const train::CoordinateCheck check, train::check_coordinates(options));
    const bool flat = check.largest_slope <= train::kFlatSlope && check.smallest_slope >= -train::kFlatSlope;
    console.write(json ? as_json(check, flat) : as_table(check));
    if (flat) return ok();
    return Error{Code::kInvalid,
                 "activations change with the width: slopes from " + decimal("%.2f", check.smallest_slope) + " to " +
                     decimal("%.2f", check.largest_slope) + " after two steps or more, wanted within " +
                     decimal("%.1f", train::kFlatSlope),
                 no_mup ? "leave --no-mup away" : "this is a defect: please report it"};
  }

  std::string as_table(const train::CoordinateCheck& check) const {
    std::string out = "step  place     ";
    for (const int width : options.widths) out += decimal("%9.0f", width);
    out += "    slope\n";
    for (const train::Coordinate& c : check.coordinates) {
      out += decimal("%4.0f  ", c.step) + c.place + std::string(10 - std::min<size_t>(9, c.place.size()), ' ');
      for (const double size : c.sizes) out += decimal("%9.4f", size);
      out += decimal("%9.3f", c.slope) + "\n";
    }
    return out;
  }

  std::string as_json(const train::CoordinateCheck& check, bool flat) const {
    Json coordinates = Json::array();
    for (const train::Coordinate& c : check.coordinates) {
      coordinates.push_back({{"place", c.place}, {"step", c.step}, {"sizes", c.sizes}, {"slope", c.slope}});
    }
    return dump_json({{"mup", options.mup},
                      {"widths", options.widths},
                      {"coordinates", std::move(coordinates)},
                      {"largest_slope", check.largest_slope},
                      {"smallest_slope", check.smallest_slope},
                      {"flat", flat}}) +
           "\n";
  }
};

}  // namespace

std::unique_ptr<Command> make_coordinate_check() { return std::make_unique<CoordinateCheckCommand>(); }

}  // namespace phial::cli
