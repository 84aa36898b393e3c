#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "phial/data/exercises/exercise.h"
#include "phial/data/exercises/people.h"
#include "phial/data/pick.h"

namespace phial::data {
namespace {

constexpr std::array<std::string_view, 12> kPlaces = {"garden", "kitchen", "barn",   "school", "library", "market",
                                                      "park",   "station", "office", "beach",  "forest",  "bakery"};
constexpr std::array<std::string_view, 12> kObjects = {"ball", "lamp", "book", "basket", "hat",  "key",
                                                       "map",  "bell", "cup",  "kite",   "drum", "coat"};

// "in the garden", "at the beach".
std::string at_the(std::string_view place) {
  constexpr std::array<std::string_view, 4> kAt = {"market", "station", "beach", "bakery"};
  return (std::ranges::find(kAt, place) != kAt.end() ? "at the " : "in the ") + std::string(place);
}
std::string at_the_as_answer(std::string_view place) {
  std::string text = at_the(place) + ".";
  text[0] = text[0] == 'a' ? 'A' : 'I';
  return text;
}

// Where everybody and everything is, while the story is told.
struct World {
  struct Person {
    std::string name, place;
  };
  struct Object {
    std::string name;
    std::optional<size_t> carrier;  // among the people
    std::string place;              // where it lies, if nobody has it
  };
  std::vector<Person> people;
  std::vector<Object> objects;

  const std::string& place_of(const Object& object) const {
    return object.carrier ? people[*object.carrier].place : object.place;
  }
};

World make_world(Random& random, int level) {
  World world;
  const auto n_people = static_cast<size_t>(level < 3 ? 2 : 3), n_objects = static_cast<size_t>(level < 2   ? 1
                                                                                                : level < 4 ? 2
                                                                                                            : 3);
  for (const std::string_view name : pick_several(random, kPeople, n_people)) {
    world.people.push_back({std::string(name), std::string(pick(random, kPlaces))});
  }
  for (const std::string_view name : pick_several(random, kObjects, n_objects)) {
    world.objects.push_back({std::string(name), std::nullopt, pick(random, world.people).place});
  }
  return world;
}

std::string opening(Random& random, const World& world) {
  constexpr std::array<std::string_view, 6> kSkies = {"sunny", "rainy", "quiet", "windy", "cold", "warm"};
  constexpr std::array<std::string_view, 5> kTimes = {"morning", "afternoon", "day in spring", "day in autumn",
                                                      "evening"};
  std::string text = "It was a ";
  text.append(pick(random, kSkies)).append(" ");
  text.append(pick(random, kTimes)).append(".");
  for (const auto& person : world.people) text += " " + person.name + " was " + at_the(person.place) + ".";
  for (const auto& object : world.objects) text += " The " + object.name + " was " + at_the(object.place) + ".";
  return text;
}

std::string go(Random& random, World::Person& person) {
  std::string to;
  do {
    to = pick(random, kPlaces);
  } while (to == person.place);
  person.place = to;
  constexpr std::array<std::string_view, 4> kVerbs = {"went", "walked", "ran", "hurried"};
  return person.name + " " + std::string(pick(random, kVerbs)) + " to the " + to + ".";
}

// Something that can happen to the object now.
std::string move_object(Random& random, World& world, World::Object& object) {
  if (object.carrier) {
    const size_t carrier = *object.carrier;
    for (size_t other = 0; other < world.people.size(); ++other) {
      if (other == carrier || world.people[other].place != world.people[carrier].place || !chance(random, 0.5))
        continue;
      object.carrier = other;
      return world.people[carrier].name + " gave the " + object.name + " to " + world.people[other].name + ".";
    }
    object.carrier.reset();
    object.place = world.people[carrier].place;
    constexpr std::array<std::string_view, 3> kVerbs = {"put down", "dropped", "left"};
    return world.people[carrier].name + " " + std::string(pick(random, kVerbs)) + " the " + object.name + " there.";
  }
  for (size_t i = 0; i < world.people.size(); ++i) {
    if (world.people[i].place != object.place) continue;
    object.carrier = i;
    constexpr std::array<std::string_view, 3> kVerbs = {"took", "picked up", "grabbed"};
    return world.people[i].name + " " + std::string(pick(random, kVerbs)) + " the " + object.name + ".";
  }
  return go(random, world.people[random.below(world.people.size())]);
}

void ask_about(Random& random, const World& world, Exercise& exercise) {
  const World::Person& person = pick(random, world.people);
  const World::Object& object = pick(random, world.objects);
  const auto carried = [&](const World::Person& by) {
    return std::ranges::count_if(world.objects, [&](const World::Object& any) {
      return any.carrier && world.people[*any.carrier].name == by.name;
    });
  };
  switch (random.below(5)) {
    case 0:
      exercise.question = "Where is " + person.name + "?";
      exercise.answer = at_the_as_answer(person.place);
      break;
    case 1:
      exercise.question = "Who has the " + object.name + "?";
      exercise.answer = object.carrier ? world.people[*object.carrier].name : "Nobody";
      break;
    case 2:
      exercise.question = "How many things is " + person.name + " carrying?";
      exercise.answer = std::to_string(carried(person));
      break;
    default:
      exercise.question = "Where is the " + object.name + "?";
      exercise.answer = at_the_as_answer(world.place_of(object));
      break;
  }
}

}  // namespace

Exercise make_story(Random& random, int level) {
  World world = make_world(random, level);
  Exercise exercise;
  exercise.passage = opening(random, world);
  const int64_t events = number_between(random, 2 * level, 3 * level);
  for (int64_t i = 0; i < events; ++i) {
    exercise.passage +=
        " " + (chance(random, 0.5) ? go(random, world.people[random.below(world.people.size())])
                                   : move_object(random, world, world.objects[random.below(world.objects.size())]));
  }
  ask_about(random, world, exercise);
  exercise.content = exercise.passage;
  return exercise;
}

}  // namespace phial::data
