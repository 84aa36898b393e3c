#include "phial/quantize/quantize.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "phial/base/bytes_text.h"
#include "phial/base/fnv.h"
#include "phial/base/json.h"
#include "phial/base/output_file.h"
#include "phial/cli/compute_flags.h"
#include "phial/cli/home.h"
#include "phial/cli/input.h"
#include "phial/cli/verbs.h"
#include "phial/cli/version.h"
#include "phial/convert/eye.h"
#include "phial/convert/gguf_model.h"
#include "phial/generate/open_tokenizer.h"
#include "phial/quantize/bits.h"
#include "phial/spec/vision.h"

namespace phial::cli {
namespace {

using quantize::Report;
using quantize::TensorReport;

constexpr int kWindowTokens = 512;
constexpr size_t kMostWindows = 64;

std::string with_digits(double value, int digits) {
  std::array<char, 32> text;
  const int length = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return {text.data(), static_cast<size_t>(length)};
}

double bits_of(const TensorReport& tensor) {
  return 8.0 * static_cast<double>(tensor.bytes) / static_cast<double>(tensor.weights);
}

std::vector<std::string> names_of_types() {
  std::vector<std::string> names;
  for (const tensor::DType type : quantize::quantizable_types()) names.emplace_back(tensor::info(type).name);
  return names;
}

void append(std::string& line, std::string_view cell, size_t width) {
  line += cell;
  line.append(cell.size() < width ? width - cell.size() : 1, ' ');
}

// The text that the network is calibrated on, and the network.
struct Reading {
  std::vector<int32_t> ids;
  std::unique_ptr<model::Decoder> decoder;
  std::vector<std::span<const int32_t>> windows;

  size_t tokens() const {
    size_t sum = 0;
    for (const auto& window : windows) sum += window.size();
    return sum;
  }
};

struct QuantizeCommand : Command {
  std::string in, out;
  std::optional<std::string> to;
  std::optional<double> bits;
  std::optional<std::string> calibrate;
  bool json = false;
  ComputeFlags compute{.precision = "exact"};

  void describe(Flags& flags) override {
    flags.argument("IN", &in, "a GGUF file, a Hugging Face folder, or a known name").offers(Completes::kModel).must();
    flags.argument("OUT", &out, "the GGUF file to write; of a folder that sees, with its image encoder beside it")
        .offers(Completes::kPath)
        .must();
    flags.add("--to", &to, "TYPE", "what the matrices become; phial_q3 and phial_q4 are for Phial alone")
        .one_of(names_of_types());
    flags
        .add("--bits", &bits, "X",
             "instead of --to: a type for each matrix, so that all tensors take at most X bits a weight and lose least")
        .between(0, 32);
    flags
        .add("--calibrate", &calibrate, "FILE",
             "a text that the model reads first; of a longer one 64 windows of 512 tokens, spread evenly, are used")
        .offers(Completes::kPath);
    flags.add("-t,--threads", &compute.threads, "T", "threads; the default is the cores this process may use")
        .between(1, 1024);
    flags.add("--json", json,
              "one JSON object: in, out, projector, to, bits, bytes, weights, bits_per_weight, relative_error, "
              "relative_output_error, calibration, tensors");
  }

  Status check() override {
    if (to.has_value() != bits.has_value()) return ok();
    return Error{Code::kInvalid, to ? "both --to and --bits were given" : "no type was given",
                 "give one of --to TYPE and --bits X"};
  }

  Result<Reading> read(const std::filesystem::path& path, int context, ThreadPool& pool, Console& console) const {
    Reading reading;
    PHIAL_TRY(const std::string text, read_input_file(*calibrate));
    PHIAL_TRY(const auto tokenizer, generate::open_tokenizer(path));
    reading.ids = tokenizer->encode(text);
    if (reading.ids.empty())
      return Error{Code::kInvalid, "the text has no tokens (" + *calibrate + ")", "give another"};
    const int window = std::min(kWindowTokens, context);
    PHIAL_TRY(reading.decoder, compute.load_decoder(path, {.context_tokens = window}, pool, console.log()));
    reading.windows = quantize::spread_windows(reading.ids, static_cast<size_t>(window), kMostWindows);
    return reading;
  }

  Status run(Console& console) override {
    PHIAL_TRY(const auto path, find_model(in, ModelUse::kAnswers));
    PHIAL_TRY(formats::Checkpoint opened, formats::Checkpoint::open(path));
    const auto checkpoint = std::make_shared<const formats::Checkpoint>(std::move(opened));
    PHIAL_TRY(const convert::GgufModel model, convert::as_gguf(*checkpoint));
    std::optional<convert::Eye> eye;  // of a folder; that of a GGUF file is a file already
    if (spec::has_vision(checkpoint->metadata())) {
      PHIAL_TRY(eye, convert::find_eye(checkpoint, model.spec, {}, console.log()));
    }
    PHIAL_CHECKED(check_is_new(formats::projector_beside(out)));  // the model would see by a foreign eye
    if (quantize::is_quantized(model.tensors)) {
      console.log()(Severity::kWarning,
                    path.string() + " is quantized already: its errors stay, and new ones come on top of them");
    }
    ThreadPool pool(compute.threads);
    std::optional<Reading> reading;
    std::optional<quantize::Calibration> calibration;
    if (calibrate) {
      PHIAL_TRY(reading, read(path, model.spec.context, pool, console));
      calibration.emplace(*reading->decoder, reading->windows, pool, [&](size_t done, size_t total) {
        console.progress("calibrating: window " + std::to_string(done) + " of " + std::to_string(total));
      });
    }
    quantize::Calibration* read_text = calibration ? &*calibration : nullptr;
    const quantize::Source source = {.metadata = model.metadata,
                                     .tensors = model.tensors,
                                     .n_layers = model.spec.n_layers,
                                     .logit_divisor = model.spec.logit_divisor};
    const auto show = [&](const char* doing) {
      return [&console, doing](const quantize::Progress& progress) {
        const double share = 100.0 * static_cast<double>(progress.done) / static_cast<double>(progress.total);
        console.progress(doing + with_digits(share, 0) + " %, " + std::string(progress.tensor));
      };
    };
    const auto choose = [&]() -> Result<std::vector<quantize::Choice>> {
      if (bits) {
        return quantize::choose_within(source, *bits, read_text, pool, console.stopped(), show("measuring: "));
      }
      return quantize::choose_types(source.tensors, *tensor::dtype_from_name(*to), source.n_layers);
    };
    std::filesystem::path projector;
    const auto with_eye = [&](const std::function<Status()>& write) -> Status {
      PHIAL_TRY(projector, convert::write_with_eye(eye, model.spec.name, out, console.stopped(), write));
      return ok();
    };
    const quantize::Target target = {.path = out, .asked = asked(*checkpoint, reading), .around = with_eye};
    const auto report =
        quantize::write_quantized(source, target, choose, read_text, pool, console.stopped(), show("quantizing: "));
    if (!report) {
      if (report.error().code == Code::kCancelled && std::filesystem::exists(partial_path(out))) {
        console.note("the same command goes on from here; what it has is in '" + partial_path(out).string() + "'");
      }
      return report.error();
    }
    if (json) {
      console.write(dump_json(to_json(path, *report, reading, projector)) + "\n");
    } else {
      write_table(console, *report);
      if (eye) console.note("wrote '" + projector.string() + "', by which it sees pictures, not quantized");
    }
    return ok();
  }

  // What decides the file, so that only a run that was asked for the same goes on with what another has left.
  Json asked(const formats::Checkpoint& checkpoint, const std::optional<Reading>& reading) const {
    Json files = Json::array();
    for (const MappedFile& file : checkpoint.files()) {
      std::error_code unknown;
      const auto changed = std::filesystem::last_write_time(file.path(), unknown).time_since_epoch();
      files.push_back({file.path().string(), file.bytes().size(), changed.count()});
    }
    Fnv1a text;
    if (reading) text.add(std::as_bytes(std::span(reading->ids)));
    return {{"version", version()},
            {"files", std::move(files)},
            {"to", to ? Json(*to) : Json()},
            {"bits", bits ? Json(*bits) : Json()},
            {"text", reading ? Json(text.value()) : Json()}};
  }

  Json to_json(const std::filesystem::path& path, const Report& report, const std::optional<Reading>& reading,
               const std::filesystem::path& projector) const {
    const auto output_error = [](bool is_calibrated, const quantize::Deviation& deviation) {
      return is_calibrated ? Json(deviation.relative_output()) : Json();
    };
    Json tensors = Json::array();
    for (const TensorReport& one : report.tensors) {
      tensors.push_back({{"name", one.name},
                         {"type", tensor::info(one.type).name},
                         {"shape", one.shape},
                         {"bits_per_weight", bits_of(one)},
                         {"relative_error", one.deviation.relative()},
                         {"relative_output_error", output_error(one.is_calibrated, one.deviation)},
                         {"reason", one.reason}});
    }
    Json read = nullptr;
    if (reading) read = {{"file", *calibrate}, {"tokens", reading->tokens()}};
    return {{"in", path.string()},
            {"out", out},
            {"projector", projector.empty() ? Json() : Json(projector.string())},
            {"to", to ? Json(*to) : Json()},
            {"bits", bits ? Json(*bits) : Json()},
            {"bytes", report.file_bytes},
            {"weights", report.weights()},
            {"bits_per_weight", report.bits_per_weight()},
            {"relative_error", report.deviation().relative()},
            {"relative_output_error", output_error(reading.has_value(), report.deviation())},
            {"calibration", std::move(read)},
            {"tensors", std::move(tensors)}};
  }

  void write_table(Console& console, const Report& report) const {
    size_t width = 0;
    for (const TensorReport& one : report.tensors) width = std::max(width, one.name.size() + 2);
    for (const TensorReport& one : report.tensors) {
      std::string line;
      append(line, one.name, width);
      append(line, tensor::info(one.type).name, 10);
      append(line, with_digits(bits_of(one), 2), 7);
      append(line, with_digits(one.deviation.relative(), 5), 9);
      if (calibrate) append(line, one.is_calibrated ? with_digits(one.deviation.relative_output(), 5) : "-", 9);
      line += one.reason;
      line.erase(line.find_last_not_of(' ') + 1);
      console.write(line + "\n");
    }
    std::string sum = bytes_text(report.file_bytes) + ", " + with_digits(report.bits_per_weight(), 3) +
                      " bits a weight, relative error of the weights " + with_digits(report.deviation().relative(), 5);
    if (calibrate) sum += ", of the outputs " + with_digits(report.deviation().relative_output(), 5);
    console.write(sum + "\n");
    console.note("wrote '" + out + "'");
  }
};

}  // namespace

std::unique_ptr<Command> make_quantize() { return make_command<QuantizeCommand>(); }

}  // namespace phial::cli
