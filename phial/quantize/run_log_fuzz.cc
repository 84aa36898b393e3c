#include "phial/quantize/run_log.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "phial/base/check.h"

// Of any bytes nothing counts that a run could not have written, and what counts is read again the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace phial;
  using formats::NewTensor;
  static const std::array<NewTensor, 4> tensors = {
      NewTensor{.name = "token_embd.weight", .dtype = tensor::DType::kF16, .shape = {7, 64}, .pieces = {}},
      NewTensor{.name = "blk.0.ffn_down.weight", .dtype = tensor::DType::kF32, .shape = {64, 96}, .pieces = {}},
      NewTensor{.name = "blk.0.attn_q.weight", .dtype = tensor::DType::kBF16, .shape = {64, 40}, .pieces = {}},
      NewTensor{.name = "output_norm.weight", .dtype = tensor::DType::kF32, .shape = {64}, .pieces = {}}};
  static const Json asked = {{"to", "Q4_0"}};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const quantize::LoggedRun run = quantize::read_run_log(text, asked, tensors, 1, true);
  PHIAL_CHECK(run.bytes <= size && run.choices.has_value() == (run.bytes > 0) && run.whole.size() <= tensors.size());
  if (!run.choices) {
    PHIAL_CHECK(run.whole.empty());
    return 0;
  }
  const auto smallest = quantize::choose_smallest(tensors, 1);
  PHIAL_CHECK(run.choices->size() == tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const quantize::Choice& choice = (*run.choices)[i];
    PHIAL_CHECK(choice.is_quantized == smallest[i].is_quantized && choice.inputs == smallest[i].inputs);
    PHIAL_CHECK(tensor::bytes_of(choice.type, tensors[i].shape.back()).has_value());
  }
  std::string again = dump_json(quantize::run_log_line(asked, *run.choices)) + "\n";
  for (size_t i = 0; i < run.whole.size(); ++i) {
    const quantize::TensorReport& tensor = run.whole[i];
    const quantize::Deviation& found = tensor.deviation;
    for (const double number : {found.error, found.reference, found.output_error, found.output_reference}) {
      PHIAL_CHECK(std::isfinite(number) && number >= 0);
    }
    PHIAL_CHECK(!tensor.is_calibrated || (*run.choices)[i].inputs);
    again += dump_json(quantize::run_log_line(tensor)) + "\n";
  }
  const quantize::LoggedRun same = quantize::read_run_log(again, asked, tensors, 1, true);
  PHIAL_CHECK(same.bytes == again.size() && same.choices && same.whole.size() == run.whole.size());
  for (size_t i = 0; i < run.whole.size(); ++i) {
    PHIAL_CHECK(same.whole[i].bytes == run.whole[i].bytes &&
                same.whole[i].deviation.error == run.whole[i].deviation.error);
  }
  return 0;
}
