#include "phial/train/moments.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <string>
#include <string_view>

#include "phial/formats/checkpoint.h"

namespace phial::train {
namespace {

// Values in a row of one parameter's moment, on disk.
struct StoredPiece {
  int64_t begin = 0;
  const formats::Tensor* tensor = nullptr;
  int64_t end() const { return begin + static_cast<int64_t>(tensor->elements()); }
};
using PiecesByName = std::map<std::string, std::vector<StoredPiece>>;

Error not_of_this_run(const std::string& name) {
  return {Code::kInvalid, "the optimizer's '" + name + "' is not that of this run's parameter",
          "give this run a folder of its own (run.out)"};
}

Error not_whole(const std::string& name) {
  return {Code::kCorrupt, "the optimizer's '" + name + "' is not whole in the snapshot",
          "remove that snapshot: an older one is taken up"};
}

Status add_pieces(const formats::Checkpoint& file, PiecesByName& pieces) {
  for (const formats::Tensor& tensor : file.tensors()) {
    std::string_view name = tensor.name;
    int64_t begin = 0;
    if (const size_t at = name.rfind('@'); at != std::string_view::npos) {
      const char* const end = name.data() + name.size();
      const auto parsed = std::from_chars(name.data() + at + 1, end, begin);
      if (parsed.ec != std::errc() || parsed.ptr != end || begin < 0) return not_of_this_run(tensor.name);
      name = name.substr(0, at);
    }
    if (tensor.dtype != tensor::DType::kF32) return not_of_this_run(tensor.name);
    pieces[std::string(name)].push_back({begin, &tensor});
  }
  return ok();
}

// The values `owned` of what is `values` long in all, if the pieces are these values, each once.
Status take_pieces(PiecesByName& pieces, const std::string& name, int64_t values, RankShare owned,
                   const at::Tensor& into) {
  std::vector<StoredPiece>& all = pieces[name];
  std::ranges::sort(all, {}, &StoredPiece::begin);
  int64_t next = 0;
  for (const StoredPiece& piece : all) {
    if (piece.begin > values || piece.end() > values) return not_of_this_run(piece.tensor->name);
    if (piece.begin != next) return not_whole(name);
    next = piece.end();
    const int64_t begin = std::max(piece.begin, owned.begin), end = std::min(piece.end(), owned.end);
    if (begin >= end) continue;
    take_stored(piece.tensor->bytes.data() + static_cast<size_t>(begin - piece.begin) * sizeof(float),
                into.slice(0, begin - owned.begin, end - owned.begin));
  }
  return next == values ? ok() : not_whole(name);
}

}  // namespace

StoredTensors stored_moments(const std::vector<Parameter>& parameters, AdamW& optimizer) {
  StoredTensors tensors;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const RankShare owned = optimizer.owned()[i];
    if (owned.size() == 0) continue;
    const AdamW::State& state = optimizer.states()[i];
    for (const auto& [kind, moment] : {std::pair{"mean.", state.mean}, std::pair{"square.", state.square}}) {
      std::string name = kind + parameters[i].name;
      if (owned.begin > 0) name += "@" + std::to_string(owned.begin);
      const bool is_whole = owned.size() == parameters[i].value.numel();
      tensors.add(name, is_whole ? moment.view(parameters[i].value.sizes()) : moment);
    }
  }
  return tensors;
}

Status take_moments(std::span<const std::filesystem::path> files, const std::vector<Parameter>& parameters,
                    AdamW& optimizer) {
  std::vector<formats::Checkpoint> opened;
  opened.reserve(files.size());  // pieces point into them
  PiecesByName pieces;
  for (const std::filesystem::path& file : files) {
    PHIAL_TRY(auto checkpoint, formats::Checkpoint::open(file));
    opened.push_back(std::move(checkpoint));
    PHIAL_CHECKED(add_pieces(opened.back(), pieces));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const int64_t values = parameters[i].value.numel();
    const RankShare owned = optimizer.owned()[i];
    PHIAL_CHECKED(take_pieces(pieces, "mean." + parameters[i].name, values, owned, optimizer.states()[i].mean));
    PHIAL_CHECKED(take_pieces(pieces, "square." + parameters[i].name, values, owned, optimizer.states()[i].square));
  }
  return ok();
}

}  // namespace phial::train
