#include <string>
#include <vector>

#include "phial/data/exercises/exercise.h"
#include "phial/data/exercises/people.h"
#include "phial/data/pick.h"

namespace phial::data {
namespace {

constexpr std::array<std::string_view, 12> kThings = {"apples", "books", "stamps", "marbles", "pencils", "shells",
                                                      "coins",  "cards", "eggs",   "stones",  "plums",   "buttons"};

// Somebody has things, gets some and gives some away, a few times.
Exercise having(Random& random, int level) {
  const auto people = pick_several(random, kPeople, 2);
  const std::string one(people[0]), other(people[1]), things(pick(random, kThings));
  int64_t has = number_between(random, 3, 10 * level);
  std::string passage = one + " has " + std::to_string(has) + " " + things + ".";
  for (int step = 0; step < level; ++step) {
    // Nothing to give away: then something is found.
    const uint64_t what = has < 2 ? 0 : random.below(4);
    const int64_t more = number_between(random, 2, 10 * level);
    const int64_t fewer = number_between(random, 1, has > 1 ? has - 1 : 1);
    switch (what) {
      case 0:
        passage += " " + one + " finds " + std::to_string(more) + " more.";
        break;
      case 1:
        passage.append(" ").append(other).append(" gives ").append(one).append(" " + std::to_string(more) + ".");
        break;
      case 2:
        passage += " " + one + " loses " + std::to_string(fewer) + ".";
        break;
      default:
        passage.append(" ").append(one).append(" gives " + std::to_string(fewer) + " to ").append(other + ".");
        break;
    }
    has += what < 2 ? more : -fewer;
  }
  const std::vector<std::string> phrases = {"How many " + things + " does " + one + " have now?",
                                            "How many " + things + " has " + one + " in the end?"};
  return {passage, pick(random, phrases), std::to_string(has), passage};
}

Exercise groups(Random& random, int level) {
  struct Holder {
    const char *one, *many, *things;
  };
  constexpr std::array<Holder, 5> kHolders = {{{"box", "boxes", "eggs"},
                                               {"bag", "bags", "marbles"},
                                               {"shelf", "shelves", "books"},
                                               {"row", "rows", "chairs"},
                                               {"basket", "baskets", "pears"}}};
  const Holder& holder = pick(random, kHolders);
  const int64_t each = number_between(random, 2, 4 + 4 * level), count = number_between(random, 2, 4 + 4 * level);
  const std::string things = holder.things;
  if (chance(random, 0.5)) {
    const std::string passage = std::string("Each ") + holder.one + " holds " + std::to_string(each) + " " + things +
                                ". There are " + std::to_string(count) + " " + holder.many + ".";
    return {passage, "How many " + things + " are there in all?", std::to_string(each * count), passage};
  }
  const std::string passage = std::to_string(each * count) + " " + things + " are shared out equally over " +
                              std::to_string(count) + " " + holder.many + ".";
  return {passage, std::string("How many ") + things + " are in each " + holder.one + "?", std::to_string(each),
          passage};
}

// Several goods at a price each, and from level 3 on the change.
Exercise shopping(Random& random, int level) {
  const auto goods = pick_several(random, kThings, static_cast<size_t>(level + 2) / 2);
  const std::string buyer(pick(random, kPeople));
  std::string passage = buyer + " buys";
  int64_t pays = 0;
  for (size_t i = 0; i < goods.size(); ++i) {
    const int64_t count = number_between(random, 2, 3 + 2 * level), price = number_between(random, 1, 4 + 3 * level);
    pays += count * price;
    passage += std::string(i == 0                  ? " "
                           : i + 1 == goods.size() ? " and "
                                                   : ", ") +
               std::to_string(count) + " " + std::string(goods[i]) + " at $" + std::to_string(price) + " each";
  }
  passage += ".";
  if (level < 3 || chance(random, 0.4)) {
    return {passage, "How many dollars does " + buyer + " pay?", std::to_string(pays), passage};
  }
  const int64_t gives = (pays / 50 + 1) * 50;
  passage += " " + buyer + " pays with $" + std::to_string(gives) + ".";
  return {passage, "How many dollars does " + buyer + " get back?", std::to_string(gives - pays), passage};
}

}  // namespace

Exercise make_problem(Random& random, int level) {
  using Make = Exercise (*)(Random&, int);
  constexpr std::array<Make, 3> kForms = {having, groups, shopping};
  return pick(random, kForms)(random, level);
}

}  // namespace phial::data
