#include "phial/quantize/quantize.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <system_error>
#include <utility>

#include "phial/base/output_file.h"
#include "phial/formats/gguf_writer.h"
#include "phial/quantize/tensor_weights.h"
#include "phial/quantize/unfinished_file.h"
#include "phial/tensor/blocks.h"

namespace phial::quantize {
namespace {

using formats::NewTensor;
using formats::Piece;
using tensor::DType;

// general.file_type, as llama.cpp counts them: what most matrices are.
int file_type(DType to) {
  switch (to) {
    case DType::kQ4_0:
      return 2;
    case DType::kQ4_1:
      return 3;
    case DType::kQ8_0:
      return 7;
    case DType::kQ5_0:
      return 8;
    case DType::kQ5_1:
      return 9;
    case DType::kQ4_K:
      return 14;
    case DType::kQ5_K:
      return 16;
    case DType::kPhialQ4:
    case DType::kPhialQ3:  // llama.cpp has no number for them
      return tensor::info(to).gguf_id;
    case DType::kQ6_K:
      return 18;
    default:
      return 1;  // nothing but 16 bits
  }
}

// What most weights become.
DType main_type(std::span<const NewTensor> tensors, std::span<const Choice> choices) {
  std::map<DType, uint64_t> weights;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (choices[i].is_quantized) weights[choices[i].type] += count_weights(tensors[i]);
  }
  const auto most = std::ranges::max_element(weights, {}, [](const auto& one) { return one.second; });
  return most != weights.end() ? most->first : DType::kF16;
}

class Quantizer {
 public:
  // `report`: of the first tensors, which are written already.
  Quantizer(std::span<const Choice> choices, Calibration* calibration, ThreadPool& pool,
            const std::function<void(const Progress&)>& on_progress, std::span<const NewTensor> tensors, Report& report)
      : choices_(choices), calibration_(calibration), pool_(pool), on_progress_(on_progress), report_(report) {
    for (const NewTensor& tensor : tensors) total_ += count_weights(tensor);
    done_ = report.weights();
  }

  // The next tensor of the plan.
  Status write(OutputFile& file, const NewTensor& tensor, const std::stop_token& stop) {
    const Choice& choice = choices_[report_.tensors.size()];
    TensorReport& told = report_.tensors.emplace_back();
    told.name = tensor.name;
    told.reason = choice.reason;
    told.shape = tensor.shape;
    told.type = choice.type;
    told.bytes = tensor.bytes();
    told.weights = count_weights(tensor);
    told.is_quantized = choice.is_quantized;
    if (choice.is_quantized && !is_stored_so(tensor)) {
      PHIAL_CHECKED(quantize(file, tensor, choice, stop, told));
    } else {
      PHIAL_CHECKED(copy(file, tensor, stop, told));
    }
    done_ += told.weights;
    return ok();
  }

 private:
  // Blocks of the wanted type stay what they are: encoding them anew could only lose.
  static bool is_stored_so(const NewTensor& tensor) {
    return std::ranges::all_of(tensor.pieces, [&](const Piece& piece) { return piece.dtype == tensor.dtype; });
  }

  void show(const NewTensor& tensor, uint64_t done) const {
    if (on_progress_) on_progress_({.tensor = tensor.name, .done = done_ + done, .total = total_});
  }

  // Norms, biases and what is in the right type already; matrices that only 16 bits can hold.
  Status copy(OutputFile& file, const NewTensor& tensor, const std::stop_token& stop, TensorReport& told) {
    const bool is_rounded = !is_stored_so(tensor);
    if (is_rounded || told.is_quantized) {
      TensorWeights weights(tensor);
      const uint64_t columns = tensor.shape.back();
      std::vector<float> row(columns), stored(columns);
      std::vector<std::byte> bytes(*tensor::bytes_of(tensor.dtype, columns));
      for (uint64_t done = 0; done < told.weights; done += columns) {
        PHIAL_CHECKED(weights.read(row));
        if (is_rounded) {
          tensor::encode_row(tensor.dtype, row, bytes.data());
          tensor::decode_row(tensor.dtype, bytes.data(), 0, stored);
          PHIAL_CHECKED(compare(tensor, row, stored, told.deviation));
        } else {
          PHIAL_CHECKED(compare(tensor, row, row, told.deviation));
        }
      }
    }
    show(tensor, 0);
    return formats::write_values(file, tensor, stop);
  }

  static Status compare(const NewTensor& tensor, std::span<const float> row, std::span<const float> stored,
                        Deviation& deviation) {
    for (size_t i = 0; i < row.size(); ++i) {
      if (!std::isfinite(stored[i])) {
        return Error{Code::kOutOfRange,
                     "tensor '" + tensor.name + "' holds a weight of " + std::to_string(row[i]) + ", which " +
                         std::string(tensor::info(tensor.dtype).name) + " cannot hold",
                     "this model cannot be quantized"};
      }
      const double error = static_cast<double>(row[i]) - stored[i];
      deviation.error += error * error;
      deviation.reference += static_cast<double>(row[i]) * row[i];
    }
    return ok();
  }

  Status quantize(OutputFile& file, const NewTensor& tensor, const Choice& choice, const std::stop_token& stop,
                  TensorReport& told) {
    const auto columns = static_cast<size_t>(tensor.shape.back());
    Weighing weighing;
    if (calibration_ != nullptr && choice.inputs) {
      PHIAL_TRY(weighing.feedback, calibration_->feedback(*choice.inputs, stop));
      told.is_calibrated = true;
    }
    std::vector<std::byte> blocks;
    return for_each_rows(tensor, stop, [&](uint64_t first, std::span<float> rows) {
      show(tensor, first * columns);
      blocks.resize(*tensor::bytes_of(choice.type, rows.size()));
      told.deviation.add(quantize_rows(rows, columns, choice.type, weighing, pool_, stop, blocks.data()));
      return file.write(blocks);
    });
  }

  std::span<const Choice> choices_;
  Calibration* calibration_;
  ThreadPool& pool_;
  uint64_t done_ = 0, total_ = 0;
  const std::function<void(const Progress&)>& on_progress_;
  Report& report_;
};

}  // namespace

namespace {

Status write_tensors(const Source& source, std::span<const Choice> choices, Calibration* calibration,
                     UnfinishedFile& file, ThreadPool& pool, const std::stop_token& stop,
                     const std::function<void(const Progress&)>& on_progress, Report& report) {
  std::vector<NewTensor> tensors(source.tensors.begin(), source.tensors.end());
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].dtype = choices[i].type;
  const size_t first = file.whole().size();
  if (calibration != nullptr) {
    calibration->expect(inputs_needed(std::span(tensors).subspan(first), choices.subspan(first)));
  }
  Json metadata = source.metadata;
  metadata["general.file_type"] = file_type(main_type(tensors, choices));
  metadata["general.quantization_version"] = 2;

  report.tensors = file.whole();
  Quantizer quantizer(choices, calibration, pool, on_progress, tensors, report);
  const formats::WriteValues write = [&](OutputFile& output, const NewTensor& tensor,
                                         const std::stop_token& stopped) -> Status {
    PHIAL_CHECKED(quantizer.write(output, tensor, stopped));
    // What took no time to make is not worth waiting for the disk.
    if (!report.tensors.back().is_quantized) return ok();
    PHIAL_CHECKED(output.finish());
    return file.add(std::span(report.tensors).subspan(file.whole().size()));
  };
  return formats::write_gguf(file.path(), metadata, tensors, stop, write, first);
}

}  // namespace

Result<Report> write_quantized(const Source& source, const Target& target, const ChooseTypes& choose,
                               Calibration* calibration, ThreadPool& pool, const std::stop_token& stop,
                               const std::function<void(const Progress&)>& on_progress) {
  PHIAL_TRY(UnfinishedFile file,
            UnfinishedFile::open(target.path, target.asked, source.tensors, source.n_layers, calibration != nullptr));
  Report report;
  const auto write = [&]() -> Status {
    if (!file.choices()) {
      PHIAL_TRY(auto choices, choose());
      PHIAL_CHECKED(file.choose(std::move(choices)));
    }
    PHIAL_CHECKED(write_tensors(source, *file.choices(), calibration, file, pool, stop, on_progress, report));
    std::error_code unknown;
    report.file_bytes = std::filesystem::file_size(file.path(), unknown);
    return file.finish();
  };
  const Status done = target.around ? target.around(write) : write();
  if (done) return report;
  if (done.error().code != Code::kCancelled || !file.choices()) file.discard();
  return file.named(done.error());
}

}  // namespace phial::quantize
