// The values of a chat template: Python's, as far as templates need them.
//
// Threads: one at a time. Lists and dictionaries are immutable once made; only a namespace changes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "phial/base/result.h"
#include "phial/generate/jinja/text.h"

namespace phial::generate::jinja {

struct Statement;
class Value;

struct List;
struct Dict;
struct Namespace;
struct Callable;

class Value {
 public:
  struct Undefined {
    std::string name;  // for the message
  };
  struct None {};

  Value() : state_(Undefined{}) {}
  static Value undefined(std::string name) { return Value(State(Undefined{std::move(name)})); }
  static Value none() { return Value(State(None{})); }
  static Value of(bool value) { return Value(State(value)); }
  static Value of(int64_t value) { return Value(State(value)); }
  static Value of(double value) { return Value(State(value)); }
  static Value of(Text text) { return Value(State(std::make_shared<const Text>(std::move(text)))); }
  static Value own_text(std::string_view text) { return of(Text{std::string(text), {}}); }
  static Value of(std::shared_ptr<const List> list) { return Value(State(std::move(list))); }
  static Value of(std::shared_ptr<const Dict> dict) { return Value(State(std::move(dict))); }
  static Value of(Namespace* space) { return Value(State(space)); }
  static Value of(std::shared_ptr<const Callable> callable) { return Value(State(std::move(callable))); }

  bool is_undefined() const { return std::holds_alternative<Undefined>(state_); }
  bool is_none() const { return std::holds_alternative<None>(state_); }
  const bool* boolean() const { return std::get_if<bool>(&state_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&state_); }
  const double* floating() const { return std::get_if<double>(&state_); }
  const Text* text() const { return pointer<const Text>(); }
  const List* list() const { return pointer<const List>(); }
  const Dict* dict() const { return pointer<const Dict>(); }
  Namespace* space() const {
    Namespace* const* held = std::get_if<Namespace*>(&state_);
    return held ? *held : nullptr;
  }
  const Callable* callable() const { return pointer<const Callable>(); }
  // An integer, or a boolean as Python counts with it.
  bool as_integer(int64_t& value) const;
  bool as_number(double& value) const;

  std::string_view undefined_name() const;
  std::string_view type_name() const;  // Python's
  bool is_true() const;
  int depth() const;        // how deeply lists and dictionaries are nested
  uint64_t weight() const;  // bytes of text in it, and some for each value; what is shared counts each time

 private:
  using State =
      std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>, std::shared_ptr<const List>,
                   std::shared_ptr<const Dict>, Namespace*, std::shared_ptr<const Callable>>;
  explicit Value(State state) : state_(std::move(state)) {}
  template <class T>
  T* pointer() const {
    const auto* held = std::get_if<std::shared_ptr<T>>(&state_);
    return held ? held->get() : nullptr;
  }

  State state_;
};

inline constexpr int kDeepestValue = 60;
inline constexpr uint64_t kHeaviestValue = uint64_t{1} << 26;
inline constexpr uint64_t kWeightOfValue = 16;

struct List {
  std::vector<Value> items;
  bool is_tuple = false;
  int depth = 1;
  uint64_t weight = kWeightOfValue;
};

struct Dict {
  std::vector<std::pair<Value, Value>> items;  // in order of insertion
  int depth = 1;
  uint64_t weight = kWeightOfValue;

  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> items;
};

// A function of the language, a method with its object, or a macro.
struct Callable {
  std::string name;
  Value self;                        // of a method, else undefined
  const Statement* macro = nullptr;  // of a macro
};

// kOutOfRange where nesting passes kDeepestValue or weight kHeaviestValue: without this, a list that holds another
// twice, and so on, would take forever to print or compare.
Result<Value> make_list(std::vector<Value> items, bool is_tuple = false);
Result<Value> make_dict(std::vector<std::pair<Value, Value>> items);

bool equal(const Value& a, const Value& b);
// -1, 0, 1; kInvalid for values that have no order.
Result<int> compare(const Value& a, const Value& b);

// Python's str(). kUnsupported for what has no text (functions, namespaces).
Result<Text> to_text(const Value& value);
// Python's repr(), as str() shows what a list holds.
Result<Text> to_repr(const Value& value);

struct JsonStyle {
  int indent = -1;  // -1: on one line
  bool ascii_only = false;
  bool sort_keys = false;
  std::string item_separator, key_separator = ": ";  // item_separator empty: Python's default
};
// Python's json.dumps(). kInvalid for what JSON cannot say.
Result<Text> to_json(const Value& value, const JsonStyle& style);

}  // namespace phial::generate::jinja
