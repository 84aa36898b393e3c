#include "phial/quantize/run_log.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "phial/quantize/tensor_weights.h"

namespace phial::quantize {
namespace {

using formats::NewTensor;

// `smallest`: what choose_smallest() says of the same tensor. Other runs give its matrices other types, and nothing
// else other types than it does.
std::optional<Choice> choice_from(const Json& json, Choice smallest, uint64_t columns) {
  const std::string* type = find_string(json, "type");
  const std::string* reason = find_string(json, "reason");
  const auto dtype = type == nullptr ? std::nullopt : tensor::dtype_from_name(*type);
  if (!dtype || reason == nullptr || !tensor::bytes_of(*dtype, columns)) return std::nullopt;
  const bool may_be = smallest.is_quantized
                          ? std::ranges::find(quantizable_types(), *dtype) != quantizable_types().end()
                          : *dtype == smallest.type;
  if (!may_be) return std::nullopt;
  smallest.type = *dtype;
  smallest.reason = *reason;
  return smallest;
}

// Four sums of squares, those of the outputs only if they were measured.
std::optional<Deviation> deviation_from(const Json& json, bool is_calibrated) {
  Deviation found;
  for (const auto& [key, number] :
       {std::pair("error", &found.error), std::pair("reference", &found.reference),
        std::pair("output_error", &found.output_error), std::pair("output_reference", &found.output_reference)}) {
    const auto read = find_number(json, key);
    if (!read || !std::isfinite(*read) || *read < 0) return std::nullopt;
    *number = *read;
  }
  if (!is_calibrated && (found.output_error != 0 || found.output_reference != 0)) return std::nullopt;
  return found;
}

std::optional<TensorReport> report_from(const Json& json, const NewTensor& tensor, const Choice& choice,
                                        bool has_calibration) {
  const std::string* name = find_string(json, "name");
  const auto is_calibrated = find_bool(json, "calibrated");
  if (name == nullptr || *name != tensor.name || !is_calibrated) return std::nullopt;
  if (*is_calibrated && !(has_calibration && choice.inputs)) return std::nullopt;
  const auto deviation = deviation_from(json, *is_calibrated);
  if (!deviation) return std::nullopt;
  NewTensor written = tensor;
  written.dtype = choice.type;
  return TensorReport{.name = tensor.name,
                      .reason = choice.reason,
                      .shape = tensor.shape,
                      .type = choice.type,
                      .weights = count_weights(tensor),
                      .bytes = written.bytes(),
                      .is_quantized = choice.is_quantized,
                      .is_calibrated = *is_calibrated,
                      .deviation = *deviation};
}

// Takes the next whole line off `left`.
std::optional<Json> next_line(std::string_view& left) {
  const size_t end = left.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  auto line = parse_json(left.substr(0, end));
  left.remove_prefix(end + 1);
  if (!line) return std::nullopt;
  return *std::move(line);
}

std::optional<std::vector<Choice>> choices_from(const Json& head, const Json& asked, std::span<const NewTensor> tensors,
                                                int n_layers) {
  const Json* found = find_member(head, "asked");
  const Json* listed = find_member(head, "choices");
  if (found == nullptr || *found != asked || listed == nullptr || listed->size() != tensors.size()) return std::nullopt;
  std::vector<Choice> choices = choose_smallest(tensors, n_layers);
  size_t i = 0;
  for (const Json& one : *listed) {
    auto choice = choice_from(one, std::move(choices[i]), tensors[i].shape.back());
    if (!choice) return std::nullopt;
    choices[i++] = *std::move(choice);
  }
  return choices;
}

}  // namespace

LoggedRun read_run_log(std::string_view text, const Json& asked, std::span<const NewTensor> tensors, int n_layers,
                       bool has_calibration) {
  LoggedRun run;
  std::string_view left = text;
  const auto head = next_line(left);
  if (head) run.choices = choices_from(*head, asked, tensors, n_layers);
  if (!run.choices) return run;
  run.bytes = text.size() - left.size();
  while (run.whole.size() < tensors.size()) {
    const size_t i = run.whole.size();
    const auto line = next_line(left);
    auto tensor = line ? report_from(*line, tensors[i], (*run.choices)[i], has_calibration) : std::nullopt;
    if (!tensor) break;
    run.whole.push_back(*std::move(tensor));
    run.bytes = text.size() - left.size();
  }
  return run;
}

Json run_log_line(const Json& asked, std::span<const Choice> choices) {
  Json listed = Json::array();
  for (const Choice& choice : choices) {
    listed.push_back({{"type", tensor::info(choice.type).name}, {"reason", choice.reason}});
  }
  return {{"asked", asked}, {"choices", std::move(listed)}};
}

Json run_log_line(const TensorReport& tensor) {
  return {{"name", tensor.name},
          {"calibrated", tensor.is_calibrated},
          {"error", tensor.deviation.error},
          {"reference", tensor.deviation.reference},
          {"output_error", tensor.deviation.output_error},
          {"output_reference", tensor.deviation.output_reference}};
}

}  // namespace phial::quantize
