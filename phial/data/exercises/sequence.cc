#include <string>
#include <vector>

#include "phial/data/exercises/exercise.h"
#include "phial/data/pick.h"

namespace phial::data {
namespace {

constexpr size_t kTermsShown = 5;

// One term more than is shown: equal steps, equal factors, squares, each the sum of the two before it, or steps that
// grow by one. Five terms leave no two of these rules to choose from, unless they go on alike.
std::vector<int64_t> terms_of(Random& random, int level) {
  const uint64_t rules = level == 1 ? 1 : level == 2 ? 2 : 5;
  const uint64_t rule = random.below(rules);
  std::vector<int64_t> terms = {number_between(random, 1, 10 * level)};
  int64_t step = number_between(random, 2, 5 * level);
  const bool falls = level > 1 && chance(random, 0.4);
  const int64_t factor = number_between(random, 2, 2 + level / 2);
  if (rule == 0 && falls) {
    terms[0] += step * static_cast<int64_t>(kTermsShown);
    step = -step;
  }
  const int64_t root = number_between(random, 1, 4 * level);
  if (rule == 2) terms[0] = root * root;
  while (terms.size() <= kTermsShown) {
    const auto i = static_cast<int64_t>(terms.size());
    const int64_t last = terms.back();
    switch (rule) {
      case 0:
        terms.push_back(last + step);
        break;
      case 1:
        terms.push_back(last * factor);
        break;
      case 2:
        terms.push_back((root + i) * (root + i));
        break;
      case 3:
        terms.push_back(terms.size() == 1 ? last + step : last + terms[terms.size() - 2]);
        break;
      default:
        terms.push_back(last + step + i - 1);
        break;
    }
  }
  return terms;
}

}  // namespace

Exercise make_sequence(Random& random, int level) {
  const std::vector<int64_t> terms = terms_of(random, level);
  std::string shown;
  for (size_t i = 0; i < kTermsShown; ++i) shown += (i == 0 ? "" : ", ") + std::to_string(terms[i]);
  const std::vector<std::string> phrases = {"What comes next: " + shown + "?",
                                            "Which number continues the sequence " + shown + "?",
                                            "Find the next number: " + shown + "."};
  return {"", pick(random, phrases), std::to_string(terms[kTermsShown]), shown};
}

}  // namespace phial::data
