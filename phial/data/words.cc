#include "phial/data/words.h"

#include <vector>

namespace phial::data {

std::span<const std::string> plain_words() {
  static const std::vector<std::string> words = {
      "able",    "about",   "above",  "action", "after",  "again",   "air",     "almost",  "along",    "always",
      "animal",  "answer",  "apple",  "april",  "arrow",  "autumn",  "away",    "baker",   "basket",   "beach",
      "bell",    "bench",   "better", "bird",   "black",  "blue",    "boat",    "book",    "border",   "bottle",
      "branch",  "bread",   "bridge", "bright", "bring",  "broken",  "brown",   "bucket",  "build",    "button",
      "cabin",   "candle",  "carpet", "castle", "catch",  "chair",   "change",  "circle",  "city",     "clean",
      "clear",   "clock",   "cloud",  "coast",  "coffee", "cold",    "corner",  "cotton",  "cover",    "cross",
      "dance",   "danger",  "deep",   "desert", "dinner", "doctor",  "door",    "double",  "dream",    "dress",
      "drink",   "early",   "earth",  "east",   "engine", "evening", "every",   "farmer",  "feather",  "field",
      "finger",  "fire",    "first",  "flag",   "floor",  "flower",  "follow",  "forest",  "fresh",    "friend",
      "fruit",   "garden",  "gate",   "gentle", "glass",  "gold",    "grass",   "green",   "ground",   "group",
      "guest",   "half",    "hammer", "happy",  "harbor", "harvest", "heavy",   "hidden",  "honey",    "horse",
      "hotel",   "hour",    "house",  "hungry", "island", "jacket",  "journey", "kettle",  "kitchen",  "ladder",
      "large",   "leaf",    "letter", "light",  "linen",  "little",  "long",    "lunch",   "machine",  "market",
      "meadow",  "melody",  "middle", "milk",   "mirror", "money",   "moon",    "morning", "mountain", "music",
      "narrow",  "needle",  "never",  "night",  "north",  "number",  "ocean",   "office",  "onion",    "open",
      "orange",  "outside", "paint",  "paper",  "parade", "pencil",  "people",  "picnic",  "pillow",   "planet",
      "plate",   "pocket",  "potato", "pretty", "quick",  "quiet",   "rabbit",  "rain",    "ready",    "river",
      "road",    "rocket",  "round",  "sailor", "salt",   "school",  "season",  "second",  "shadow",   "shelf",
      "shore",   "silver",  "simple", "sister", "slow",   "small",   "smoke",   "snow",    "south",    "spring",
      "square",  "stair",   "star",   "stone",  "storm",  "story",   "street",  "summer",  "table",    "teacher",
      "thunder", "ticket",  "tower",  "train",  "travel", "tree",    "under",   "valley",  "village",  "wagon",
      "water",   "weather", "west",   "wheel",  "white",  "window",  "winter",  "wonder",  "wood",     "yellow"};
  return words;
}

}  // namespace phial::data
