#include "phial/quantize/run_log.h"

#include <algorithm>
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

std::optional<TensorReport> report_from(const Json& json, const NewTensor& tensor, const Choice& choice) {
  const std::string* name = find_string(json, "name");
  if (name == nullptr || *name != tensor.name) return std::nullopt;
  NewTensor written = tensor;
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

LoggedRun read_run_log(std::string_view text, const Json& asked, std::span<const NewTensor> tensors, int n_layers) {
  LoggedRun run;
  std::string_view left = text;
  const auto head = next_line(left);
  if (head) run.choices = choices_from(*head, asked, tensors, n_layers);
  if (!run.choices) return run;
  run.bytes = text.size() - left.size();
  while (run.whole.size() < tensors.size()) {
    const size_t i = run.whole.size();
    const auto line = next_line(left);
    auto tensor = line ? report_from(*line, tensors[i], (*run.choices)[i]) : std::nullopt;
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
