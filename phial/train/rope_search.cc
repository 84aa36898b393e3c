#include "phial/train/rope_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "phial/base/json_file.h"
#include "phial/base/json_writer.h"
#include "phial/base/random.h"
#include "phial/train/shuffle.h"

namespace phial::train {
namespace {

constexpr double kMutated = 0.3;      // of a parent's factors
constexpr double kFactorStep = 0.01;  // between drawn ones
// YaRN: pairs that turn more often within the original context keep their frequency, those that turn less are
// interpolated, a ramp between.
constexpr double kFastTurns = 32, kSlowTurns = 1;

double turns(const spec::DecoderSpec& spec, int pair, int original) {
  const double share = 2.0 * pair / spec.rope_dims;
  return original / (2 * std::numbers::pi * std::pow(static_cast<double>(spec.rope_theta), share));
}

bool are_factors(const std::vector<float>& values, size_t n) {
  return values.size() == n && values.front() >= 1 && std::ranges::all_of(values, [](float v) { return v < 1e6F; }) &&
         std::ranges::is_sorted(values);
}

// Any factor moves between its neighbours, the last up to `most`.
std::vector<float> mutated_factors(std::vector<float> values, double most, Random& random) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (random.uniform() >= kMutated) continue;
    const double low = i == 0 ? 1 : static_cast<double>(values[i - 1]);
    const double high = std::max(low, i + 1 < values.size() ? static_cast<double>(values[i + 1]) : most);
    const double drawn = std::round((low + random.uniform() * (high - low)) / kFactorStep) * kFactorStep;
    values[i] = static_cast<float>(std::clamp(drawn, low, high));
  }
  return values;
}

// Each factor of one of both; where it would fall it is that before it.
std::vector<float> crossed_factors(const std::vector<float>& one, const std::vector<float>& other, Random& random) {
  std::vector<float> values;
  for (size_t i = 0; i < one.size(); ++i) {
    const float drawn = random.uniform() < 0.5 ? one[i] : other[i];
    values.push_back(i == 0 ? drawn : std::max(drawn, values.back()));
  }
  return values;
}

// null in JSON is a loss that is not finite.
Json json_of_factors(const RopeFactors& factors) { return {{"factors", factors.values}, {"loss", factors.loss}}; }

class RopeSearch {
 public:
  RopeSearch(std::vector<NamedRopeFactors> known, const std::function<Result<double>(std::span<const float>)>& loss_of,
             const RopeSearchOptions& options, const RunHooks& hooks)
      : known_(std::move(known)), loss_of_(loss_of), options_(options), hooks_(hooks) {}

  Result<RopeSearchResult> operator()() {
    PHIAL_TRY(const bool is_begun, take_up());
    if (!is_begun) PHIAL_CHECKED(begin());
    while (generation_ < options_.generations) {
      PHIAL_CHECKED(next_generation());
      PHIAL_CHECKED(keep());
    }
    return RopeSearchResult{population_.front(), known_};
  }

 private:
  size_t wanted() const { return static_cast<size_t>(options_.population); }
  size_t parents() const { return wanted() / 2; }
  Random random_of(int64_t generation) const {
    return Random(seed_of_epoch(options_.seed, static_cast<uint64_t>(generation)));
  }
  const std::vector<float>& any(size_t n, Random& random) const { return population_[random.below(n)].values; }

  Status measure(RopeFactors& factors) {
    if (hooks_.stop.stop_requested()) {
      return Error{Code::kCancelled, "stopped after " + std::to_string(generation_) + " generations of the search",
                   "the same command goes on from there"};
    }
    PHIAL_TRY(factors.loss, loss_of_(factors.values));
    if (!std::isfinite(factors.loss)) factors.loss = std::numeric_limits<double>::infinity();
    hooks_.prepares("searching rotary factors", ++measured_, measured_after(options_.generations));
    return ok();
  }
  int64_t measured_after(int64_t generations) const {
    const size_t begins = options_.generations == 0 ? known_.size() : wanted();
    return static_cast<int64_t>(begins) + generations * static_cast<int64_t>(wanted() - parents());
  }

  // What is known, and variations of it.
  Status begin() {
    Random drawn = random_of(0);
    for (NamedRopeFactors& each : known_) {
      PHIAL_CHECKED(measure(each));
      population_.push_back(each);
    }
    while (options_.generations > 0 && population_.size() < wanted()) {
      RopeFactors next = {mutated_factors(any(known_.size(), drawn), options_.most, drawn), 0};
      PHIAL_CHECKED(measure(next));
      population_.push_back(std::move(next));
    }
    sort();
    if (!is_any_finite()) {
      return Error{Code::kOutOfRange,
                   "none of the " + std::to_string(population_.size()) +
                       " lists of rotary factors that the search begins with has a finite loss",
                   "see that the model's loss on the held-out data is finite, or compute in f32"};
    }
    return keep();
  }

  // The better half stays, and has children: mutations, and crossings of two.
  Status next_generation() {
    Random drawn = random_of(generation_ + 1);
    std::vector<RopeFactors> children;
    const size_t n = wanted() - parents();
    for (size_t i = 0; i < n; ++i) {
      const std::vector<float>& one = any(parents(), drawn);
      children.push_back(
          {i < n / 2 ? mutated_factors(one, options_.most, drawn) : crossed_factors(one, any(parents(), drawn), drawn),
           0});
    }
    for (RopeFactors& child : children) PHIAL_CHECKED(measure(child));
    ++generation_;
    population_.resize(parents());
    std::ranges::move(children, std::back_inserter(population_));
    sort();
    return ok();
  }

  void sort() { std::ranges::stable_sort(population_, {}, &RopeFactors::loss); }
  bool is_any_finite() const { return std::isfinite(population_.front().loss); }

  Json of() const {
    return {{"search", options_.of},
            {"population", options_.population},
            {"generations", options_.generations},
            {"seed", options_.seed},
            {"most", options_.most}};
  }

  Status keep() const {
    Json known = Json::object(), population = Json::array();
    for (const NamedRopeFactors& each : known_) known[each.name] = json_of_factors(each);
    for (const RopeFactors& each : population_) population.push_back(json_of_factors(each));
    return write_json_file(options_.file, {{"of", of()},
                                           {"generation", generation_},
                                           {"best", json_of_factors(population_.front())},
                                           {"known", std::move(known)},
                                           {"population", std::move(population)}});
  }

  // False: nothing is there.
  Result<bool> take_up() {
    PHIAL_TRY(const Json found, read_json_if_there(options_.file));
    if (found.is_null()) return false;
    const Json* before = find_member(found, "of");
    if (before == nullptr || *before != of()) {
      return Error{Code::kInvalid, options_.file.string() + " is of a search with another model, data or fields",
                   "set them back, or begin another run with another run.out"};
    }
    if (!read(found)) {
      return Error{Code::kCorrupt, options_.file.string() + " is damaged", "remove it: the search is made anew"};
    }
    measured_ = measured_after(generation_);
    return true;
  }

  bool read(const Json& found) {
    generation_ = find_int(found, "generation").value_or(-1);
    const Json *known = find_member(found, "known"), *population = find_member(found, "population");
    if (generation_ < 0 || generation_ > options_.generations || known == nullptr || population == nullptr)
      return false;
    for (NamedRopeFactors& each : known_) {
      const Json* one = find_member(*known, each.name);
      if (one == nullptr || !read(*one, each)) return false;
    }
    if (!population->is_array() || population->size() != (options_.generations == 0 ? known_.size() : wanted())) {
      return false;
    }
    for (const Json& one : *population) {
      if (!read(one, population_.emplace_back())) return false;
    }
    sort();
    return is_any_finite();
  }

  bool read(const Json& one, RopeFactors& into) const {
    const Json* values = find_member(one, "factors");
    if (values == nullptr || !values->is_array()) return false;
    into.values.clear();
    for (const Json& value : *values) {
      if (!value.is_number()) return false;
      into.values.push_back(value.get<float>());
    }
    into.loss = find_number(one, "loss").value_or(std::numeric_limits<double>::infinity());
    return are_factors(into.values, known_.front().values.size());
  }

  std::vector<NamedRopeFactors> known_;
  const std::function<Result<double>(std::span<const float>)>& loss_of_;
  const RopeSearchOptions& options_;
  const RunHooks& hooks_;
  std::vector<RopeFactors> population_;  // the best first
  int64_t generation_ = 0, measured_ = 0;
};

}  // namespace

std::vector<NamedRopeFactors> known_rope_factors(const spec::DecoderSpec& spec, int original, int target) {
  const int pairs = spec.rope_dims / 2;
  const double scale = static_cast<double>(target) / original;
  std::vector<NamedRopeFactors> known(3);
  known[0].name = "PI";
  known[1].name = "NTK";
  known[2].name = "YaRN";
  for (int i = 0; i < pairs; ++i) {
    // A larger base, so that the last pair is interpolated and the first is not.
    const double ntk = pairs == 1 ? scale : std::pow(scale, static_cast<double>(i) / (pairs - 1));
    const double kept = std::clamp((turns(spec, i, original) - kSlowTurns) / (kFastTurns - kSlowTurns), 0.0, 1.0);
    known[0].values.push_back(static_cast<float>(scale));
    known[1].values.push_back(static_cast<float>(ntk));
    known[2].values.push_back(static_cast<float>(1 / (kept + (1 - kept) / scale)));
  }
  return known;
}

Result<RopeSearchResult> search_rope_factors(std::vector<NamedRopeFactors> known,
                                             const std::function<Result<double>(std::span<const float>)>& loss_of,
                                             const RopeSearchOptions& options, const RunHooks& hooks) {
  return RopeSearch(std::move(known), loss_of, options, hooks)();
}

}  // namespace phial::train
