#include "phial/rag/quantities.h"

#include <gmock/gmock.h>

namespace phial::rag {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Quantities, AreNumbersWithTheUnitBehindThem) {
  EXPECT_THAT(quantities_in("Bake 1,200 grams for 3.5 hours, then wait 2 Tage."),
              ElementsAre(Quantity{"1200", "gram"}, Quantity{"3.5", "hour"}, Quantity{"2", "day"}));
  EXPECT_THAT(quantities_in("a 5-day trip of 40 Km"), ElementsAre(Quantity{"5", "day"}, Quantity{"40", "kilometre"}));
  EXPECT_THAT(quantities_in("In 2024, 12 people; day 3; 12 an hour."), IsEmpty());
}

TEST(Quantities, WithAnotherUnitAreAnotherAmount) {
  const auto differs = [](std::string_view claim, std::string_view statement) {
    return has_other_unit(quantities_in(claim).at(0), quantities_in(statement));
  };
  EXPECT_TRUE(differs("It takes 5 weeks.", "Delivery: 5 days"));
  EXPECT_FALSE(differs("It takes 5 days.", "Delivery: 5 Tage"));
  EXPECT_FALSE(differs("It takes 5 days.", "5 weeks for tables, 5 days for chairs"));
  EXPECT_FALSE(differs("It takes 5 days.", "Delivery (days): 5"));
  EXPECT_FALSE(differs("It takes 5 days.", "3 weeks"));
}

}  // namespace
}  // namespace phial::rag
