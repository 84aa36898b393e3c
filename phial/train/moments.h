// AdamW's moments as files of a snapshot: of each parameter whole, or of the values in a row that a rank owns.
//
// "mean.NAME" and "square.NAME" are a parameter's moments from its first value on, "mean.NAME@K" those from value K
// (row-major); [n] or the parameter's shape, f32. Any number of ranks reads what any other number wrote.
// Errors: kCorrupt for moments that are missing, kInvalid for those of another run. Threads: one.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "phial/base/result.h"
#include "phial/train/optimizer.h"
#include "phial/train/parameters.h"
#include "phial/train/stored_tensor.h"

namespace phial::train {

// Of the owned values.
StoredTensors stored_moments(const std::vector<Parameter>& parameters, AdamW& optimizer);

// Of the owned values, out of the files of all ranks.
Status take_moments(std::span<const std::filesystem::path> files, const std::vector<Parameter>& parameters,
                    AdamW& optimizer);

}  // namespace phial::train
