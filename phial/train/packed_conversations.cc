#include "phial/train/packed_conversations.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "phial/train/shuffle.h"

namespace phial::train {
namespace {

std::vector<uint32_t> shuffled(std::vector<uint32_t> values, uint64_t seed) {
  if (values.empty()) return values;
  const Shuffle order(values.size(), seed);
  std::vector<uint32_t> out(values.size());
  for (size_t i = 0; i < values.size(); ++i) out[i] = values[order(i)];
  return out;
}

// How often the i-th of a file's conversations has been seen after `share` of all: the first ones get what is over.
uint64_t times_seen(double share, uint64_t place, uint64_t n) {
  const double whole = std::floor(share);
  const bool is_among_first = static_cast<double>(place) < std::round((share - whole) * static_cast<double>(n));
  return static_cast<uint64_t>(whole) + (is_among_first ? 1 : 0);
}

}  // namespace

PackedConversations::PackedConversations(std::vector<std::vector<TokenizedAnswer>> files,
                                         const PackingOptions& options) {
  std::vector<uint64_t> ends;
  for (auto& file : files) {
    std::ranges::move(file, std::back_inserter(conversations_));
    ends.push_back(conversations_.size());
  }
  const auto epochs = static_cast<uint64_t>(std::ceil(options.epochs));
  for (uint64_t epoch = 0; epoch < epochs; ++epoch) {
    std::vector<uint32_t> seen;
    for (size_t f = 0, begin = 0; f < files.size(); begin = ends[f++]) {
      const double weight = options.weights.empty() ? 1 : options.weights[f];
      const uint64_t n = ends[f] - begin;
      // Another order for each file and the same in all epochs: what one leaves out, the next one takes.
      const double before = weight * static_cast<double>(epoch);
      const double after = weight * std::min(static_cast<double>(epoch + 1), options.epochs);
      for (uint64_t i = 0; i < n; ++i) {
        const uint64_t place = Shuffle(n, seed_of_epoch(options.seed, f))(i);
        const uint64_t times = times_seen(after, place, n) - times_seen(before, place, n);
        seen.insert(seen.end(), times, static_cast<uint32_t>(begin + i));
      }
    }
    add_epoch(std::move(seen), seed_of_epoch(options.seed, epoch), options.sequence_tokens);
  }
}

void PackedConversations::add_epoch(std::vector<uint32_t> seen, uint64_t seed, int64_t sequence_tokens) {
  seen = shuffled(std::move(seen), seed);
  const auto size_of = [&](uint32_t which) { return static_cast<int64_t>(conversations_[which].ids.size()); };
  std::ranges::stable_sort(seen, std::greater(), size_of);
  std::vector<Row> rows;
  std::multimap<int64_t, uint32_t> room;  // free tokens -> row
  for (const uint32_t which : seen) {
    auto fullest = room.lower_bound(size_of(which));
    if (fullest == room.end()) {
      fullest = room.emplace(sequence_tokens, static_cast<uint32_t>(rows.size()));
      rows.emplace_back();
    }
    const auto [free, row] = *fullest;
    rows[row].push_back(which);
    room.erase(fullest);
    room.emplace(free - size_of(which), row);
  }
  std::vector<uint32_t> order(rows.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  for (const uint32_t row : shuffled(std::move(order), seed + 1)) rows_.push_back(std::move(rows[row]));
}

int64_t PackedConversations::length(const Row& row) const {
  int64_t tokens = 0;
  for (const uint32_t which : row) tokens += static_cast<int64_t>(conversations_[which].ids.size());
  return tokens;
}

Result<Batch> PackedConversations::batch(uint64_t first, int64_t count) const {
  const auto row_of = [&](int64_t r) -> const Row& { return rows_[(first + static_cast<uint64_t>(r)) % rows_.size()]; };
  int64_t width = 0;
  for (int64_t r = 0; r < count; ++r) width = std::max(width, length(row_of(r)));
  const at::Tensor zeros = at::zeros({count, width}, at::kLong);
  Batch batch = {.ids = zeros,
                 .targets = at::full_like(zeros, kIgnored),
                 .positions = at::zeros_like(zeros),
                 .documents = at::full_like(zeros, -1),
                 .one_document_a_row = true};
  auto ids = batch.ids.accessor<int64_t, 2>(), targets = batch.targets.accessor<int64_t, 2>();
  auto positions = batch.positions.accessor<int64_t, 2>(), documents = batch.documents.accessor<int64_t, 2>();
  for (int64_t r = 0; r < count; ++r) {
    int64_t at = 0, document = 0;
    for (const uint32_t which : row_of(r)) {
      const TokenizedAnswer& own = conversations_[which];
      const auto n = static_cast<int64_t>(own.ids.size());
      add_pictures(own, r, at, batch);
      for (int64_t i = 0; i < n; ++i, ++at) {
        ids[r][at] = std::max(0, own.ids[static_cast<size_t>(i)]);
        positions[r][at] = i;
        documents[r][at] = document;
        const auto next = static_cast<size_t>(i) + 1;
        if (i + 1 < n && own.is_answer[next]) targets[r][at] = own.ids[next];
      }
      ++document;
    }
    // What is left of the row comes after all that counts, and sees only itself where there is a mask.
    for (int64_t i = 0; at < width; ++at) positions[r][at] = i++;
    if (document > 1) batch.one_document_a_row = false;
  }
  return batch;
}

uint64_t PackedConversations::fingerprint() const {
  uint64_t hash = 0;
  for (const TokenizedAnswer& own : conversations_) hash = train::fingerprint(hash, own);
  return hash;
}

}  // namespace phial::train
