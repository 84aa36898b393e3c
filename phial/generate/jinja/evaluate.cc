// Expressions. Types behave as in Python where templates can tell.

#include <algorithm>
#include <cmath>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/generate/jinja/builtins.h"
#include "phial/generate/jinja/interpreter.h"

namespace phial::generate::jinja {
namespace {

using Kind = Expression::Kind;

constexpr int kDeepestEvaluation = 1000;
constexpr uint64_t kLongestRepetition = uint64_t{1} << 26;

Error undefined(const Value& value) {
  const std::string_view name = value.undefined_name();
  return {Code::kInvalid, "'" + (name.empty() ? std::string("a value") : printable(name)) + "' is undefined", ""};
}

Error no_operation(const std::string& op, const Value& a, const Value& b) {
  return {Code::kInvalid,
          "'" + op + "' does not go with a " + std::string(a.type_name()) + " and a " + std::string(b.type_name()), ""};
}

Error too_large() { return {Code::kOutOfRange, "a number in the chat template is too large", ""}; }

int64_t floor_quotient(int64_t a, int64_t b) { return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0); }

Result<Value> whole_number(const std::string& op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (op == "**") {
    result = 1;
    for (int64_t i = 0; i < b && !overflow && a != 0 && a != 1; ++i) {
      if (a == -1) {
        result = b % 2 == 0 ? 1 : -1;
        break;
      }
      overflow = __builtin_mul_overflow(result, a, &result);
    }
    if (a == 0 && b > 0) result = 0;
  } else {
    if (b == 0) return Error{Code::kInvalid, "a division by zero", ""};
    if (b == -1 && a == INT64_MIN) return too_large();
    result = op == "//" ? floor_quotient(a, b) : a - b * floor_quotient(a, b);
  }
  if (overflow) return too_large();
  return Value::of(result);
}

Result<Value> real_number(const std::string& op, double a, double b) {
  if (op == "+") return Value::of(a + b);
  if (op == "-") return Value::of(a - b);
  if (op == "*") return Value::of(a * b);
  if (op == "**") return Value::of(std::pow(a, b));
  if (b == 0) return Error{Code::kInvalid, "a division by zero", ""};
  if (op == "/") return Value::of(a / b);
  const double quotient = std::floor(a / b);
  return Value::of(op == "//" ? quotient : a - b * quotient);
}

// Python's slice.indices(): the positions that [start:stop:step] takes of `length`.
struct Steps {
  int64_t start, stop, step;
};
Steps clamp_slice(const Value* start, const Value* stop, int64_t step, int64_t length) {
  const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
  const auto place = [&](const Value* value, int64_t standard) {
    int64_t at = 0;
    if (!value || !value->as_integer(at)) return standard;
    if (at < 0) at = at < -length ? low : at + length;
    return std::clamp(at, low, high);
  };
  return {place(start, step < 0 ? high : low), place(stop, step < 0 ? low : high), step};
}

}  // namespace

Result<Value> Interpreter::evaluate(const Expression& expression) {
  PHIAL_CHECKED(spend(kWeightOfValue));
  if (depth_ >= kDeepestEvaluation) {
    return Error{Code::kOutOfRange, "the chat template's calls are nested too deeply", ""};
  }
  ++depth_;
  auto value = evaluate_kind(expression);
  --depth_;
  return value;
}

Result<Value> Interpreter::evaluate_kind(const Expression& e) {
  switch (e.kind) {
    case Kind::kLiteral:
      return e.value;
    case Kind::kName:
      return look_up(e.name);
    case Kind::kList:
    case Kind::kTuple: {
      PHIAL_TRY(auto items, evaluate_all(e));
      return make_list(std::move(items), e.kind == Kind::kTuple);
    }
    case Kind::kDict: {
      PHIAL_TRY(auto flat, evaluate_all(e));
      PHIAL_CHECKED(spend(flat.size() * flat.size()));
      std::vector<std::pair<Value, Value>> items;
      for (size_t i = 0; i + 1 < flat.size(); i += 2) items.emplace_back(std::move(flat[i]), std::move(flat[i + 1]));
      return make_dict(std::move(items));
    }
    case Kind::kAttribute:
      return attribute(e);
    case Kind::kItem:
      return item(e);
    case Kind::kSlice:
      return slice(e);
    case Kind::kCall:
      return call(e);
    case Kind::kFilter:
      return filter(e);
    case Kind::kTest:
      return test(e);
    case Kind::kUnary:
      return unary(e);
    case Kind::kBinary:
      return binary(e);
    case Kind::kConcat:
      return concatenation(e);
    case Kind::kAnd:
    case Kind::kOr: {
      for (size_t i = 0;; ++i) {
        PHIAL_TRY(Value value, evaluate(*e.arguments[i]));
        if (i + 1 == e.arguments.size() || value.is_true() == (e.kind == Kind::kOr)) return value;
      }
    }
    case Kind::kCompare:
      return comparison(e);
    case Kind::kConditional: {
      PHIAL_TRY(const Value condition, evaluate(*e.arguments[1]));
      if (condition.is_true()) return evaluate(*e.arguments[0]);
      return e.arguments[2] ? evaluate(*e.arguments[2]) : Result<Value>(Value());
    }
  }
  return Value();
}

Result<std::vector<Value>> Interpreter::evaluate_all(const Expression& e, size_t first) {
  std::vector<Value> values;
  for (size_t i = first; i < e.arguments.size(); ++i) {
    PHIAL_TRY(Value value, evaluate(*e.arguments[i]));
    values.push_back(std::move(value));
  }
  return values;
}

Result<Arguments> Interpreter::evaluate_arguments(const Expression& e, size_t first) {
  Arguments arguments;
  PHIAL_TRY(arguments.positional, evaluate_all(e, first));
  for (const auto& [name, argument] : e.named) {
    PHIAL_TRY(Value value, evaluate(*argument));
    arguments.named.emplace_back(name, std::move(value));
  }
  return arguments;
}

Result<Value> Interpreter::attribute(const Expression& e) {
  PHIAL_TRY(const Value object, evaluate(*e.arguments[0]));
  if (object.is_undefined()) return undefined(object);
  if (const Namespace* space = object.space()) {
    for (const auto& [name, value] : space->items) {
      if (name == e.name) return value;
    }
    return Value::undefined(e.name);
  }
  if (has_method(object, e.name)) {
    return Value::of(std::make_shared<const Callable>(Callable{e.name, object, nullptr}));
  }
  if (const Dict* dict = object.dict()) {
    PHIAL_CHECKED(spend(dict->items.size()));
    if (const Value* value = dict->find(e.name)) return *value;
  }
  return Value::undefined(e.name);
}

Result<Value> Interpreter::item(const Expression& e) {
  PHIAL_TRY(const Value object, evaluate(*e.arguments[0]));
  PHIAL_TRY(const Value key, evaluate(*e.arguments[1]));
  if (object.is_undefined()) return undefined(object);
  if (const Dict* dict = object.dict()) {
    PHIAL_CHECKED(spend(dict->items.size() * (1 + key.weight() / 64)));
    if (const Value* value = dict->find(key)) return *value;
    return Value::undefined(key.text() ? key.text()->bytes : "an item");
  }
  int64_t index = 0;
  if (!key.as_integer(index)) return Value::undefined(key.text() ? key.text()->bytes : "an item");
  if (const List* list = object.list()) {
    const auto length = static_cast<int64_t>(list->items.size());
    if (index < 0) index += length;
    if (index < 0 || index >= length) return Value::undefined("an item past the end of a list");
    return list->items[static_cast<size_t>(index)];
  }
  if (const Text* text = object.text()) {
    PHIAL_CHECKED(spend(text->bytes.size()));
    const std::vector<size_t> at = positions(text->bytes);
    const auto length = static_cast<int64_t>(at.size()) - 1;
    if (index < 0) index += length;
    if (index < 0 || index >= length) return Value::undefined("a character past the end of a string");
    const auto i = static_cast<size_t>(index);
    return Value::of(text->part(at[i], at[i + 1]));
  }
  return Value::undefined("an item");
}

Result<Value> Interpreter::slice(const Expression& e) {
  PHIAL_TRY(const Value object, evaluate(*e.arguments[0]));
  if (object.is_undefined()) return undefined(object);
  Value parts[3];
  for (size_t i = 0; i < 3; ++i) {
    if (!e.arguments[i + 1]) continue;
    PHIAL_TRY(parts[i], evaluate(*e.arguments[i + 1]));
    int64_t number = 0;
    if (!parts[i].is_none() && !parts[i].as_integer(number)) {
      return Error{Code::kInvalid, "a slice goes by whole numbers, not by a " + std::string(parts[i].type_name()), ""};
    }
  }
  int64_t step = 1;
  if (e.arguments[3]) parts[2].as_integer(step);
  if (step == 0) return Error{Code::kInvalid, "a slice has a step of zero", ""};
  const bool is_text = object.text() != nullptr;
  if (!is_text && !object.list()) {
    return Error{Code::kInvalid, "a " + std::string(object.type_name()) + " cannot be sliced", ""};
  }
  PHIAL_CHECKED(spend(is_text ? object.text()->bytes.size() : object.list()->items.size() * kWeightOfValue));
  const std::vector<size_t> at = is_text ? positions(object.text()->bytes) : std::vector<size_t>();
  const size_t size = is_text ? at.size() - 1 : object.list()->items.size();
  const auto length = static_cast<int64_t>(size);
  step = std::clamp(step, -length - 1, length + 1);
  const Steps steps = clamp_slice(&parts[0], &parts[1], step, length);
  Text text;
  std::vector<Value> items;
  for (int64_t i = steps.start; step > 0 ? i < steps.stop : i > steps.stop; i += step) {
    const auto place = static_cast<size_t>(i);
    if (is_text) {
      text.append(*object.text(), at[place], at[place + 1]);
    } else {
      items.push_back(object.list()->items[place]);
    }
  }
  return is_text ? Result<Value>(Value::of(std::move(text))) : make_list(std::move(items), object.list()->is_tuple);
}

Result<Value> Interpreter::call(const Expression& e) {
  PHIAL_TRY(const Value function, evaluate(*e.arguments[0]));
  if (function.is_undefined()) return undefined(function);
  const Callable* callable = function.callable();
  if (!callable) return Error{Code::kInvalid, "a " + std::string(function.type_name()) + " cannot be called", ""};
  PHIAL_TRY(const Arguments arguments, evaluate_arguments(e, 1));
  if (callable->macro) return call_macro(*callable->macro, arguments);
  if (callable->self.is_undefined()) return call_function(*this, callable->name, arguments);
  return call_method(*this, callable->self, callable->name, arguments);
}

Result<Value> Interpreter::filter(const Expression& e) {
  Value value = captured_;
  if (e.arguments[0]) {
    PHIAL_TRY(value, evaluate(*e.arguments[0]));
  }
  PHIAL_TRY(const Arguments arguments, evaluate_arguments(e, 1));
  return apply_filter(*this, e.name, value, arguments);
}

Result<Value> Interpreter::test(const Expression& e) {
  PHIAL_TRY(const Value value, evaluate(*e.arguments[0]));
  PHIAL_TRY(const Arguments arguments, evaluate_arguments(e, 1));
  if (e.name == "in" && arguments.positional.size() == 1) {
    PHIAL_TRY(const bool holds, contains(*this, arguments.positional[0], value));
    return Value::of(holds);
  }
  PHIAL_TRY(const bool holds, apply_test(e.name, value, arguments));
  return Value::of(holds);
}

Result<Value> Interpreter::unary(const Expression& e) {
  PHIAL_TRY(const Value value, evaluate(*e.arguments[0]));
  if (e.name == "not") return Value::of(!value.is_true());
  const Value zero = Value::of(int64_t{0});
  int64_t whole = 0;
  if (value.as_integer(whole)) return whole_number(e.name, 0, whole);
  if (const double* number = value.floating()) return Value::of(e.name == "-" ? -*number : *number);
  return value.is_undefined() ? undefined(value) : no_operation(e.name, zero, value);
}

Result<Value> Interpreter::binary(const Expression& e) {
  PHIAL_TRY(const Value a, evaluate(*e.arguments[0]));
  PHIAL_TRY(const Value b, evaluate(*e.arguments[1]));
  if (a.is_undefined()) return undefined(a);
  if (b.is_undefined()) return undefined(b);
  int64_t i = 0, j = 0;
  if (a.as_integer(i) && b.as_integer(j) && e.name != "/" && !(e.name == "**" && j < 0)) {
    return whole_number(e.name, i, j);
  }
  double x = 0, y = 0;
  if (a.as_number(x) && b.as_number(y)) return real_number(e.name, x, y);
  if (e.name == "+" && a.text() && b.text()) {
    Text text = *a.text();
    text.append(*b.text());
    PHIAL_CHECKED(spend(text.bytes.size() + text.plain.size() * kWeightOfValue));
    return Value::of(std::move(text));
  }
  if (e.name == "+" && a.list() && b.list() && a.list()->is_tuple == b.list()->is_tuple) {
    std::vector<Value> items = a.list()->items;
    items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
    PHIAL_CHECKED(spend(items.size() * kWeightOfValue));
    return make_list(std::move(items), a.list()->is_tuple);
  }
  if (e.name == "*" && (a.text() || b.text()) && (a.as_integer(i) || b.as_integer(i))) {
    const Text& piece = a.text() ? *a.text() : *b.text();
    const auto times = static_cast<uint64_t>(std::clamp<int64_t>(i, 0, kLongestRepetition));
    PHIAL_CHECKED(spend(times * (piece.bytes.size() % kLongestRepetition + kWeightOfValue)));
    Text text;
    for (uint64_t k = 0; k < times; ++k) text.append(piece);
    return Value::of(std::move(text));
  }
  if (e.name == "%" && a.text()) return Error{Code::kUnsupported, "formatting a string with % is not supported", ""};
  return no_operation(e.name, a, b);
}

Result<Value> Interpreter::concatenation(const Expression& e) {
  PHIAL_TRY(const auto values, evaluate_all(e));
  Text text;
  for (const Value& value : values) {
    PHIAL_CHECKED(spend(value.weight()));
    PHIAL_TRY(const Text part, to_text(value));
    text.append(part);
  }
  return Value::of(std::move(text));
}

Result<bool> Interpreter::compare_by(const std::string& op, const Value& a, const Value& b) {
  PHIAL_CHECKED(spend(std::min(a.weight(), b.weight())));
  if (op == "==") return equal(a, b);
  if (op == "!=") return !equal(a, b);
  if (op == "in" || op == "not in") {
    PHIAL_TRY(const bool holds, contains(*this, b, a));
    return holds == (op == "in");
  }
  if (a.is_undefined()) return undefined(a);
  if (b.is_undefined()) return undefined(b);
  PHIAL_TRY(const int order, compare(a, b));
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  return op == ">" ? order > 0 : order >= 0;
}

Result<Value> Interpreter::comparison(const Expression& e) {
  PHIAL_TRY(Value left, evaluate(*e.arguments[0]));
  for (size_t i = 0; i < e.operators.size(); ++i) {
    PHIAL_TRY(Value right, evaluate(*e.arguments[i + 1]));
    PHIAL_TRY(const bool holds, compare_by(e.operators[i], left, right));
    if (!holds) return Value::of(false);
    left = std::move(right);
  }
  return Value::of(true);
}

}  // namespace phial::generate::jinja
