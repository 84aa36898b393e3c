#include "phial/quantize/unfinished_file.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "phial/base/mapped_file.h"
#include "phial/quantize/tensor_weights.h"

namespace phial::quantize {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMostLayers = 1 << 20;

Json to_json(const Choice& choice) {
  Json inputs = nullptr;
  if (choice.inputs) {
    inputs = {{"layer", choice.inputs->layer}, {"which", static_cast<int>(choice.inputs->which)}};
  }
  return {{"type", tensor::info(choice.type).name},
          {"quantized", choice.is_quantized},
          {"reason", choice.reason},
          {"inputs", std::move(inputs)}};
}

// Of a tensor with rows of `columns`.
std::optional<Choice> choice_from(const Json& json, uint64_t columns) {
  const std::string* type = find_string(json, "type");
  const auto dtype = type == nullptr ? std::nullopt : tensor::dtype_from_name(*type);
  const auto is_quantized = find_bool(json, "quantized");
  const std::string* reason = find_string(json, "reason");
  if (!dtype || !is_quantized || reason == nullptr || !tensor::bytes_of(*dtype, columns)) return std::nullopt;
  if (*is_quantized && std::ranges::find(quantizable_types(), *dtype) == quantizable_types().end()) return std::nullopt;
  Choice choice;
  choice.type = *dtype;
  choice.is_quantized = *is_quantized;
  choice.reason = *reason;
  if (const Json* inputs = find_member(json, "inputs"); inputs != nullptr && inputs->is_object()) {
    const auto layer = find_int(*inputs, "layer");
    const auto which = find_int(*inputs, "which");
    if (!layer || !which || *layer < 0 || *layer > kMostLayers || *which < 0 ||
        *which > static_cast<int64_t>(model::InputsOf::kHead)) {
      return std::nullopt;
    }
    choice.inputs = Inputs{.layer = static_cast<int>(*layer), .which = static_cast<model::InputsOf>(*which)};
  }
  return choice;
}

Json to_json(const TensorReport& tensor) {
  return {{"name", tensor.name},
          {"calibrated", tensor.is_calibrated},
          {"error", tensor.deviation.error},
          {"reference", tensor.deviation.reference},
          {"output_error", tensor.deviation.output_error},
          {"output_reference", tensor.deviation.output_reference}};
}

std::optional<TensorReport> report_from(const Json& json, const formats::NewTensor& tensor, const Choice& choice) {
  const std::string* name = find_string(json, "name");
  if (name == nullptr || *name != tensor.name) return std::nullopt;
  formats::NewTensor written = tensor;
  written.dtype = choice.type;
  const auto number = [&json](const char* key) { return find_number(json, key).value_or(0); };
  return TensorReport{.name = tensor.name,
                      .reason = choice.reason,
                      .shape = tensor.shape,
                      .type = choice.type,
                      .weights = count_weights(tensor),
                      .bytes = written.bytes(),
                      .is_quantized = choice.is_quantized,
                      .is_calibrated = find_bool(json, "calibrated").value_or(false),
                      .deviation = {.error = number("error"),
                                    .reference = number("reference"),
                                    .output_error = number("output_error"),
                                    .output_reference = number("output_reference")}};
}

}  // namespace

UnfinishedFile::UnfinishedFile(const fs::path& target, Json asked, Descriptor lock)
    : target_(place_of(target)),
      part_(partial_path(target_)),
      log_path_(part_.string() + ".log"),
      asked_(std::move(asked)),
      lock_(std::move(lock)) {}

Result<UnfinishedFile> UnfinishedFile::open(const fs::path& target, const Json& asked,
                                            std::span<const formats::NewTensor> tensors) {
  PHIAL_CHECKED(check_is_new(target));
  const fs::path log = partial_path(target).string() + ".log";
  Descriptor lock(::open(log.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.get() < 0) return system_error(log, "create");
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error(log, "lock");
    return Error{Code::kInvalid, "'" + target.string() + "' is being written by another process", "wait for it to end"};
  }
  // Another process may have put its file in place between the first look and the lock.
  if (const Status still = check_is_new(target); !still) {
    std::error_code unknown;
    fs::remove(log, unknown);
    return still.error();
  }
  UnfinishedFile file(target, asked, std::move(lock));
  file.read_log(tensors);
  PHIAL_TRY(file.log_, OutputFile::append(file.log_path_, file.log_bytes_));
  if (file.whole_.empty()) {
    std::error_code unknown;
    fs::remove_all(file.part_, unknown);
  }
  return file;
}

// Whatever is not as this run would have written it ends what is taken over.
void UnfinishedFile::read_log(std::span<const formats::NewTensor> tensors) {
  const auto text = read_text_file(log_path_);
  if (!text) return;
  std::string_view left = *text;
  const auto next = [&]() -> std::optional<Json> {
    const size_t end = left.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    auto line = parse_json(left.substr(0, end));
    left.remove_prefix(end + 1);
    if (!line) return std::nullopt;
    return *std::move(line);
  };
  const auto head = next();
  const Json* asked = head ? find_member(*head, "asked") : nullptr;
  const Json* listed = head ? find_member(*head, "choices") : nullptr;
  if (asked == nullptr || *asked != asked_ || listed == nullptr || listed->size() != tensors.size()) return;
  std::vector<Choice> choices;
  for (const Json& one : *listed) {
    auto choice = choice_from(one, tensors[choices.size()].shape.back());
    if (!choice) return;
    choices.push_back(*std::move(choice));
  }
  choices_ = std::move(choices);
  log_bytes_ = text->size() - left.size();
  while (whole_.size() < tensors.size()) {
    const auto line = next();
    auto tensor = line ? report_from(*line, tensors[whole_.size()], (*choices_)[whole_.size()]) : std::nullopt;
    if (!tensor) return;
    whole_.push_back(*std::move(tensor));
    log_bytes_ = text->size() - left.size();
  }
}

Status UnfinishedFile::write_line(const Json& line) {
  const std::string text = dump_json(line) + "\n";
  return log_->write(std::as_bytes(std::span(text)));
}

Status UnfinishedFile::choose(std::vector<Choice> choices) {
  Json listed = Json::array();
  for (const Choice& choice : choices) listed.push_back(to_json(choice));
  choices_ = std::move(choices);
  return write_line({{"asked", asked_}, {"choices", std::move(listed)}});
}

Status UnfinishedFile::add(std::span<const TensorReport> more) {
  for (const TensorReport& tensor : more) {
    PHIAL_CHECKED(write_line(to_json(tensor)));
    whole_.push_back(tensor);
  }
  return log_->finish();
}

Status UnfinishedFile::finish() {
  std::error_code failed;
  fs::rename(part_, target_, failed);
  if (failed) return Error{Code::kIo, target_.string() + ": cannot be put in place: " + failed.message(), ""};
  fs::remove(log_path_, failed);
  return ok();
}

void UnfinishedFile::discard() {
  std::error_code unknown;
  fs::remove_all(part_, unknown);
  fs::remove(log_path_, unknown);
}

}  // namespace phial::quantize
