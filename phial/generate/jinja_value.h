// The values of a template while it runs.
//
// A text remembers of each byte whether it was data (it came out of a message) or written by the template:
// concatenation, slicing and every filter keep the marks, so that the prompt's encoder can tell a role marker from a
// forgery.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace phial::generate::jinja {

class Text {
 public:
  Text() = default;
  Text(std::string bytes, bool is_data) : bytes_(std::move(bytes)), marks_(bytes_.size(), is_data ? '\1' : '\0') {}

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool is_data(size_t at) const { return marks_[at] != '\0'; }

  void append(const Text& other) {
    bytes_ += other.bytes_;
    marks_ += other.marks_;
  }
  Text slice(size_t start, size_t length) const {
    Text part;
    part.bytes_ = bytes_.substr(start, length);
    part.marks_ = marks_.substr(start, length);
    return part;
  }

 private:
  std::string bytes_;
  std::string marks_;  // one byte a byte
};

struct Undefined {};
struct None {};
struct Value;
using List = std::vector<Value>;

// Small and ordered, as Python's dicts are.
struct Dict {
  std::vector<std::pair<std::string, Value>> items;
  const Value* find(std::string_view key) const;
  void set(std::string_view key, Value value);
};

struct Node;

// What a name like raise_exception or a macro stands for.
struct Function {
  std::string name;  // builtin, if macro is null
  const Node* macro = nullptr;
};

// Containers know how deeply they nest, so that a template cannot build what would exhaust the stack when it is walked
// or freed. A namespace is never part of a container: there are no cycles.
struct Value {
  using Data = std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>,
                            std::shared_ptr<const List>, std::shared_ptr<const Dict>, std::shared_ptr<Dict>, Function>;
  Data data;
  int nesting = 0;  // 0: no container

  Value() = default;
  Value(bool b) : data(b) {}                                           // NOLINT(google-explicit-constructor)
  Value(int64_t i) : data(i) {}                                        // NOLINT(google-explicit-constructor)
  Value(double d) : data(d) {}                                         // NOLINT(google-explicit-constructor)
  Value(Text t) : data(std::make_shared<const Text>(std::move(t))) {}  // NOLINT(google-explicit-constructor)
  Value(List l);                                                       // NOLINT(google-explicit-constructor)
  Value(Dict d);                                                       // NOLINT(google-explicit-constructor)
  Value(Function f) : data(std::move(f)) {}                            // NOLINT(google-explicit-constructor)
  static Value none() {
    Value value;
    value.data = None{};
    return value;
  }
  static Value text(std::string_view s) { return Value(Text(std::string(s), false)); }
  // namespace(...): the one kind of value that a template can change.
  static Value mutable_dict(Dict dict) {
    Value value;
    value.data = std::make_shared<Dict>(std::move(dict));
    return value;
  }

  bool is_undefined() const { return std::holds_alternative<Undefined>(data); }
  bool is_none() const { return std::holds_alternative<None>(data); }
  bool is_bool() const { return std::holds_alternative<bool>(data); }
  const Text* as_text() const;
  const List* as_list() const;
  const Dict* as_dict() const;  // a namespace too
  Dict* as_namespace() const;
  bool as_int(int64_t* value) const;  // bools are 0 and 1
  bool as_double(double* value) const;
  bool is_number() const;

  bool truthy() const;
};

bool equal(const Value& a, const Value& b);

// What {{ value }} writes: Python's str().
Text to_text(const Value& value);
// Python's repr().
Text to_repr(const Value& value);
// json.dumps(value, ensure_ascii=False, indent=indent); indent < 0: on one line.
Text to_json_text(const Value& value, int indent, int level = 0);

// Python's indices are characters, not bytes.
size_t count_characters(std::string_view text);
size_t byte_of_character(std::string_view text, size_t index);

}  // namespace phial::generate::jinja
