#include "phial/generate/jinja_interpreter.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "phial/generate/jinja_builtins.h"

namespace phial::generate::jinja {
namespace {

constexpr int kMaxDepth = 400;
constexpr int kMaxNesting = 60;
constexpr int64_t kMaxSteps = 2'000'000;
constexpr size_t kMaxBytes = size_t{256} << 20;  // of text, made in all

enum class Flow { kNext, kBreak, kContinue };

// Names of one level: the template's own, a loop body's, a macro's.
struct Scope {
  Dict names;
  const Scope* outer = nullptr;
};

class Interpreter {
 public:
  Interpreter(const Dict& globals, const std::string& date) : date_(date) { globals_.names = globals; }

  Result<Text> run(const Node& root) {
    Text out;
    Scope scope{{}, &globals_};
    PHIAL_TRY(const Flow flow, execute(root, scope, out));
    (void)flow;
    return out;
  }

 private:
  class Depth {
   public:
    explicit Depth(int& depth) : depth_(++depth) {}
    ~Depth() { --depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    int& depth_;
  };

  static Error wrong(const Node& node, const std::string& what) {
    return Error{Code::kInvalid, "chat template, line " + std::to_string(node.line) + ": " + what, ""};
  }

  Status step() {
    if (++steps_ > kMaxSteps || depth_ > kMaxDepth || bytes_ > kMaxBytes) {
      return Error{Code::kOutOfRange, "the chat template runs too long, too deep or writes too much", ""};
    }
    return ok();
  }
  // Text is paid for when it is made, so that repeated doubling ends early.
  Result<Value> made(Text text) {
    bytes_ += text.size();
    PHIAL_CHECKED(step());
    return Value(std::move(text));
  }

  // ---- statements

  Result<Flow> execute(const Node& node, Scope& scope, Text& out) {
    const Depth depth(depth_);
    PHIAL_CHECKED(step());
    switch (node.kind) {
      case NodeKind::kBody:
        for (const auto& child : node.children) {
          PHIAL_TRY(const Flow flow, execute(*child, scope, out));
          if (flow != Flow::kNext) return flow;
        }
        return Flow::kNext;
      case NodeKind::kData:
        return write(Text(node.text, false), out);
      case NodeKind::kOutput: {
        PHIAL_TRY(const Value value, evaluate(*node.children[0], scope));
        return write(to_text(value), out);
      }
      case NodeKind::kIf: {
        PHIAL_TRY(const Value condition, evaluate(*node.children[0], scope));
        const auto& branch = node.children[condition.truthy() ? 1 : 2];
        return branch ? execute(*branch, scope, out) : Flow::kNext;
      }
      case NodeKind::kFor:
        return loop(node, scope, out);
      case NodeKind::kSet: {
        PHIAL_TRY(Value value, evaluate(*node.children[1], scope));
        PHIAL_CHECKED(assign(*node.children[0], std::move(value), scope));
        return Flow::kNext;
      }
      case NodeKind::kSetBlock: {
        Text text;
        Scope inner{{}, &scope};
        PHIAL_TRY(const Flow flow, execute(*node.children[1], inner, text));
        (void)flow;
        PHIAL_CHECKED(assign(*node.children[0], Value(std::move(text)), scope));
        return Flow::kNext;
      }
      case NodeKind::kMacro:
        scope.names.set(node.text, Value(Function{node.text, &node}));
        return Flow::kNext;
      case NodeKind::kBreak:
        return Flow::kBreak;
      case NodeKind::kContinue:
        return Flow::kContinue;
      default:
        return wrong(node, "an expression stands where a statement should");
    }
  }

  Result<Flow> write(const Text& text, Text& out) {
    bytes_ += text.size();
    PHIAL_CHECKED(step());
    out.append(text);
    return Flow::kNext;
  }

  static Status bind(const Node& node, const std::vector<std::string>& names, const Value& item, Scope& scope) {
    if (names.size() == 1) {
      scope.names.set(names[0], item);
      return ok();
    }
    if (item.as_list() == nullptr || item.as_list()->size() != names.size()) {
      return wrong(node, "cannot unpack into " + std::to_string(names.size()) + " names");
    }
    for (size_t i = 0; i < names.size(); ++i) scope.names.set(names[i], (*item.as_list())[i]);
    return ok();
  }

  Result<Flow> loop(const Node& node, Scope& scope, Text& out) {
    PHIAL_TRY(const Value iterable, evaluate(*node.children[0], scope));
    PHIAL_TRY(List items, items_of(iterable));
    if (node.children[1]) {
      List kept;
      for (Value& item : items) {
        Scope inner{{}, &scope};
        PHIAL_CHECKED(bind(node, node.names, item, inner));
        PHIAL_TRY(const Value keeps, evaluate(*node.children[1], inner));
        if (keeps.truthy()) kept.push_back(std::move(item));
      }
      items = std::move(kept);
    }
    if (items.empty()) return node.children[3] ? execute(*node.children[3], scope, out) : Flow::kNext;
    const auto count = static_cast<int64_t>(items.size());
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      Scope inner{{}, &scope};
      Dict loop;
      loop.set("index", i + 1);
      loop.set("index0", i);
      loop.set("revindex", count - i);
      loop.set("revindex0", count - i - 1);
      loop.set("first", i == 0);
      loop.set("last", i == count - 1);
      loop.set("length", count);
      if (i > 0) loop.set("previtem", items[at - 1]);
      if (i + 1 < count) loop.set("nextitem", items[at + 1]);
      inner.names.set("loop", Value(std::move(loop)));
      PHIAL_CHECKED(bind(node, node.names, items[at], inner));
      PHIAL_TRY(const Flow flow, execute(*node.children[2], inner, out));
      if (flow == Flow::kBreak) break;
    }
    return Flow::kNext;
  }

  Status assign(const Node& target, Value value, Scope& scope) {
    if (target.kind == NodeKind::kName) {
      scope.names.set(target.text, std::move(value));
      return ok();
    }
    if (target.kind == NodeKind::kTuple) {
      std::vector<std::string> names;
      for (const auto& child : target.children) names.push_back(child->text);
      return bind(target, names, value, scope);
    }
    PHIAL_TRY(const Value object, evaluate(*target.children[0], scope));
    Dict* space = object.as_namespace();
    if (space == nullptr) return wrong(target, "only a namespace's attributes can be set");
    PHIAL_TRY(Value item, contained(target, std::move(value)));
    space->set(target.text, std::move(item));
    return ok();
  }

  // What may become part of a container.
  static Result<Value> contained(const Node& node, Value value) {
    if (value.as_namespace() != nullptr) return wrong(node, "a namespace cannot be part of another value");
    if (value.nesting > kMaxNesting) return wrong(node, "values nest too deeply");
    return value;
  }

  // ---- expressions

  static Value look_up(const Scope& scope, std::string_view name) {
    for (const Scope* s = &scope; s != nullptr; s = s->outer) {
      if (const Value* found = s->names.find(name)) return *found;
    }
    if (name == "raise_exception" || name == "strftime_now" || name == "namespace" || name == "range" ||
        name == "dict") {
      return Value(Function{std::string(name), nullptr});
    }
    return {};
  }

  Result<Value> evaluate(const Node& node, Scope& scope) {
    const Depth depth(depth_);
    PHIAL_CHECKED(step());
    switch (node.kind) {
      case NodeKind::kString:
        return Value::text(node.text);
      case NodeKind::kInteger:
        return Value(node.integer);
      case NodeKind::kFloat:
        return Value(node.number);
      case NodeKind::kBool:
        return Value(node.integer != 0);
      case NodeKind::kNone:
        return Value::none();
      case NodeKind::kName:
        return look_up(scope, node.text);
      case NodeKind::kList:
      case NodeKind::kTuple: {
        List list;
        for (const auto& child : node.children) {
          PHIAL_TRY(Value value, evaluate(*child, scope));
          PHIAL_TRY(Value item, contained(*child, std::move(value)));
          list.push_back(std::move(item));
        }
        return Value(std::move(list));
      }
      case NodeKind::kDict: {
        Dict dict;
        for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
          PHIAL_TRY(const Value key, evaluate(*node.children[i], scope));
          PHIAL_TRY(Value value, evaluate(*node.children[i + 1], scope));
          PHIAL_TRY(Value item, contained(node, std::move(value)));
          dict.set(to_text(key).bytes(), std::move(item));
        }
        return Value(std::move(dict));
      }
      case NodeKind::kAttribute: {
        PHIAL_TRY(const Value object, evaluate(*node.children[0], scope));
        if (object.is_undefined()) return undefined_error(*node.children[0]);
        return member(object, node.text);
      }
      case NodeKind::kIndex:
        return index(node, scope);
      case NodeKind::kSlice:
        return slice(node, scope);
      case NodeKind::kCall:
        return call(node, scope);
      case NodeKind::kFilter: {
        PHIAL_TRY(const Value value, evaluate(*node.children[0], scope));
        PHIAL_TRY(const Arguments arguments, evaluate_arguments(node, scope));
        PHIAL_TRY(Value result, apply_filter(node.text, value, arguments));
        if (const Text* text = result.as_text()) bytes_ += text->size();
        return result;
      }
      case NodeKind::kTest: {
        PHIAL_TRY(const Value value, evaluate(*node.children[0], scope));
        PHIAL_TRY(const Arguments arguments, evaluate_arguments(node, scope));
        return apply_test(node.text, value, arguments);
      }
      case NodeKind::kUnary:
        return unary(node, scope);
      case NodeKind::kBinary:
        return binary(node, scope);
      case NodeKind::kCompare:
        return compare(node, scope);
      case NodeKind::kTernary: {
        PHIAL_TRY(const Value condition, evaluate(*node.children[0], scope));
        const auto& branch = node.children[condition.truthy() ? 1 : 2];
        return branch ? evaluate(*branch, scope) : Value();
      }
      default:
        return wrong(node, "a statement stands where an expression should");
    }
  }

  static Error undefined_error(const Node& node) {
    return wrong(node, "'" + (node.text.empty() ? std::string("a value") : node.text) + "' is undefined");
  }

  Result<Arguments> evaluate_arguments(const Node& node, Scope& scope) {
    Arguments arguments;
    const size_t first_named = node.children.size() - node.names.size();
    for (size_t i = 1; i < node.children.size(); ++i) {
      PHIAL_TRY(Value value, evaluate(*node.children[i], scope));
      if (i < first_named) {
        arguments.positional.push_back(std::move(value));
      } else {
        arguments.named.emplace_back(node.names[i - first_named], std::move(value));
      }
    }
    return arguments;
  }

  Result<Value> index(const Node& node, Scope& scope) {
    PHIAL_TRY(const Value object, evaluate(*node.children[0], scope));
    PHIAL_TRY(const Value key, evaluate(*node.children[1], scope));
    if (object.is_undefined()) return undefined_error(*node.children[0]);
    if (const Text* name = key.as_text()) return member(object, name->bytes());
    int64_t at = 0;
    if (!key.as_int(&at)) return Value();
    if (const List* list = object.as_list()) {
      if (at < 0) at += static_cast<int64_t>(list->size());
      return at < 0 || static_cast<size_t>(at) >= list->size() ? Value() : (*list)[static_cast<size_t>(at)];
    }
    if (const Text* text = object.as_text()) {
      const auto count = static_cast<int64_t>(count_characters(text->bytes()));
      if (at < 0) at += count;
      if (at < 0 || at >= count) return Value();
      const size_t start = byte_of_character(text->bytes(), static_cast<size_t>(at));
      return Value(text->slice(start, byte_of_character(std::string_view(text->bytes()).substr(start), 1)));
    }
    return Value();
  }

  // Python's object[start:stop:step].
  Result<Value> slice(const Node& node, Scope& scope) {
    PHIAL_TRY(const Value object, evaluate(*node.children[0], scope));
    int64_t bounds[3] = {0, 0, 1};
    bool given[3] = {};
    for (size_t i = 0; i < 3; ++i) {
      if (!node.children[i + 1]) continue;
      PHIAL_TRY(const Value bound, evaluate(*node.children[i + 1], scope));
      if (bound.is_none()) continue;
      if (!bound.as_int(&bounds[i])) return wrong(node, "a slice's bound is not an integer");
      given[i] = true;
    }
    if (bounds[2] == 0) return wrong(node, "a slice's step is 0");
    if (object.as_list() == nullptr && object.as_text() == nullptr)
      return wrong(node, "only lists and texts have slices");
    PHIAL_TRY(const List items, items_of(object));
    const auto count = static_cast<int64_t>(items.size());
    const int64_t step = bounds[2];
    const int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? count : count - 1;
    const auto clamp = [&](int64_t bound) {
      if (bound < 0) bound = std::max(bound, -count - 1) + count;
      return std::clamp(bound, lowest, std::max(lowest, highest));
    };
    const int64_t start = given[0] ? clamp(bounds[0]) : step > 0 ? 0 : count - 1;
    const int64_t stop = given[1] ? clamp(bounds[1]) : step > 0 ? count : -1;
    const int64_t stride = std::clamp<int64_t>(step, -count - 1, count + 1);
    List kept;
    for (int64_t i = start; stride > 0 ? i < stop : i > stop; i += stride)
      kept.push_back(items[static_cast<size_t>(i)]);
    if (object.as_list() != nullptr) return Value(std::move(kept));
    Text text;
    for (const Value& character : kept) text.append(*character.as_text());
    return made(std::move(text));
  }

  Result<Value> unary(const Node& node, Scope& scope) {
    PHIAL_TRY(const Value operand, evaluate(*node.children[0], scope));
    if (node.text == "not") return Value(!operand.truthy());
    int64_t i = 0;
    double d = 0;
    if (operand.as_int(&i) && i != INT64_MIN) return Value(node.text == "-" ? -i : i);
    if (operand.as_double(&d)) return Value(node.text == "-" ? -d : d);
    return wrong(node, "'" + node.text + "' needs a number");
  }

  Result<Value> binary(const Node& node, Scope& scope) {
    PHIAL_TRY(Value left, evaluate(*node.children[0], scope));
    if (node.text == "and" || node.text == "or") {
      if (left.truthy() == (node.text == "or")) return left;
      return evaluate(*node.children[1], scope);
    }
    PHIAL_TRY(const Value right, evaluate(*node.children[1], scope));
    if (node.text == "~" || (node.text == "+" && left.as_text() != nullptr && right.as_text() != nullptr)) {
      Text text = to_text(left);
      text.append(to_text(right));
      return made(std::move(text));
    }
    if (node.text == "+" && left.as_list() != nullptr && right.as_list() != nullptr) {
      List joined = *left.as_list();
      joined.insert(joined.end(), right.as_list()->begin(), right.as_list()->end());
      steps_ += static_cast<int64_t>(joined.size());
      return Value(std::move(joined));
    }
    if (node.text == "*" && left.as_text() != nullptr) return repeat(node, *left.as_text(), right);
    return arithmetic(node, left, right);
  }

  Result<Value> repeat(const Node& node, const Text& text, const Value& times) {
    int64_t count = 0;
    if (!times.as_int(&count)) return wrong(node, "a text can only be multiplied by an integer");
    if (count > 0 && text.size() > kMaxBytes / static_cast<size_t>(count)) bytes_ = kMaxBytes + 1;
    PHIAL_CHECKED(step());
    Text out;
    for (int64_t i = 0; i < count && text.size() > 0; ++i) out.append(text);
    return made(std::move(out));
  }

  static Result<Value> arithmetic(const Node& node, const Value& left, const Value& right) {
    const std::string& op = node.text;
    int64_t a = 0, b = 0;
    if (left.as_int(&a) && right.as_int(&b) && op != "/" && op != "**") {
      int64_t result = 0;
      if (op == "+" && !__builtin_add_overflow(a, b, &result)) return Value(result);
      if (op == "-" && !__builtin_sub_overflow(a, b, &result)) return Value(result);
      if (op == "*" && !__builtin_mul_overflow(a, b, &result)) return Value(result);
      if ((op == "//" || op == "%") && b != 0 && b != -1) {
        const int64_t remainder = a % b;
        const bool floors = remainder != 0 && (remainder < 0) != (b < 0);  // Python rounds down
        return op == "%" ? Value(floors ? remainder + b : remainder) : Value(floors ? a / b - 1 : a / b);
      }
      if (op == "%" && b == -1) return Value(static_cast<int64_t>(0));
      if (op == "//" && b == -1 && a != INT64_MIN) return Value(-a);
      return wrong(node, "'" + op + "' has no result in 64 bits");
    }
    double x = 0, y = 0;
    if (!left.as_double(&x) || !right.as_double(&y)) {
      return wrong(node, "'" + op + "' cannot be done with these values");
    }
    if (op == "+") return Value(x + y);
    if (op == "-") return Value(x - y);
    if (op == "*") return Value(x * y);
    if (op == "**") return power(node, left, right);
    if (y == 0) return wrong(node, "division by zero");
    if (op == "/") return Value(x / y);
    const double quotient = std::floor(x / y);
    return op == "//" ? Value(quotient) : Value(x - quotient * y);
  }

  static Result<Value> power(const Node& node, const Value& left, const Value& right) {
    int64_t a = 0, b = 0;
    double x = 0, y = 0;
    left.as_double(&x);
    right.as_double(&y);
    if (left.as_int(&a) && right.as_int(&b) && b >= 0) {
      const double result = std::pow(x, y);
      if (std::fabs(result) > 9e15) return wrong(node, "'**' has no exact result");
      return Value(static_cast<int64_t>(result));
    }
    return Value(std::pow(x, y));
  }

  Result<Value> compare(const Node& node, Scope& scope) {
    PHIAL_TRY(Value left, evaluate(*node.children[0], scope));
    size_t at = 0;
    for (size_t i = 1; i < node.children.size(); ++i) {
      const size_t end = std::min(node.text.find(' ', at), node.text.size());
      const std::string_view op = std::string_view(node.text).substr(at, end - at);
      at = end + 1;
      PHIAL_TRY(Value right, evaluate(*node.children[i], scope));
      PHIAL_TRY(const bool holds, holds_between(node, op, left, right));
      if (!holds) return Value(false);
      left = std::move(right);
    }
    return Value(true);
  }

  static Result<bool> holds_between(const Node& node, std::string_view op, const Value& a, const Value& b) {
    if (op == "==") return equal(a, b);
    if (op == "!=") return !equal(a, b);
    if (op == "in") return contains(b, a);
    if (op == "not-in") {
      PHIAL_TRY(const bool found, contains(b, a));
      return !found;
    }
    double x = 0, y = 0;
    int order = 0;
    if (a.as_text() != nullptr && b.as_text() != nullptr) {
      order = a.as_text()->bytes().compare(b.as_text()->bytes());
    } else if (a.as_double(&x) && b.as_double(&y)) {
      order = x < y ? -1 : x > y ? 1 : 0;
    } else {
      return wrong(node, "these values have no order");
    }
    return op == "<" ? order < 0 : op == "<=" ? order <= 0 : op == ">" ? order > 0 : order >= 0;
  }

  // ---- calls

  Result<Value> call(const Node& node, Scope& scope) {
    const Node& callee = *node.children[0];
    PHIAL_TRY(const Arguments arguments, evaluate_arguments(node, scope));
    if (callee.kind == NodeKind::kAttribute) {
      PHIAL_TRY(const Value object, evaluate(*callee.children[0], scope));
      const Value attribute = member(object, callee.text);
      if (const auto* function = std::get_if<Function>(&attribute.data)) {
        return call_function(node, *function, arguments, scope);
      }
      if (object.is_undefined()) return undefined_error(*callee.children[0]);
      PHIAL_TRY(Value result, call_method(callee.text, object, arguments));
      if (const Text* text = result.as_text()) bytes_ += text->size();
      return result;
    }
    PHIAL_TRY(const Value value, evaluate(callee, scope));
    const auto* function = std::get_if<Function>(&value.data);
    if (function == nullptr) return undefined_error(callee);
    return call_function(node, *function, arguments, scope);
  }

  Result<Value> call_function(const Node& node, const Function& function, const Arguments& arguments, Scope& scope) {
    if (function.macro != nullptr) return call_macro(*function.macro, arguments, scope);
    if (function.name == "raise_exception") {
      return Error{Code::kInvalid,
                   "the model's chat template refuses these messages: " + to_text(arguments.get(0, "message")).bytes(),
                   ""};
    }
    if (function.name == "strftime_now") return strftime_now(node, arguments);
    if (function.name == "range") return range(node, arguments);
    Dict dict;  // namespace(...) and dict(...)
    if (const Dict* copied = arguments.get(0, "").as_dict()) dict = *copied;
    for (const auto& [name, value] : arguments.named) {
      PHIAL_TRY(Value item, contained(node, value));
      dict.set(name, std::move(item));
    }
    return function.name == "namespace" ? Value::mutable_dict(std::move(dict)) : Value(std::move(dict));
  }

  Result<Value> call_macro(const Node& macro, const Arguments& arguments, Scope& scope) {
    // A macro sees the template's names, not those of its caller's loops.
    const Scope* outermost = &scope;
    while (outermost->outer != &globals_ && outermost->outer != nullptr) outermost = outermost->outer;
    Scope inner{{}, outermost};
    const size_t first_default = macro.names.size() - (macro.children.size() - 1);
    for (size_t i = 0; i < macro.names.size(); ++i) {
      const Value& given = arguments.get(i, macro.names[i]);
      if (given.is_undefined() && i >= first_default) {
        PHIAL_TRY(Value fallback, evaluate(*macro.children[1 + i - first_default], inner));
        inner.names.set(macro.names[i], std::move(fallback));
      } else {
        inner.names.set(macro.names[i], given);
      }
    }
    Text out;
    PHIAL_TRY(const Flow flow, execute(*macro.children[0], inner, out));
    (void)flow;
    return Value(std::move(out));
  }

  Result<Value> strftime_now(const Node& node, const Arguments& arguments) {
    std::tm when{};
    if (std::sscanf(date_.c_str(), "%d-%d-%d", &when.tm_year, &when.tm_mon, &when.tm_mday) != 3) {
      return wrong(node, "the date is not known");
    }
    when.tm_year -= 1900;
    when.tm_mon -= 1;
    when.tm_isdst = -1;
    when.tm_hour = 12;
    (void)::timegm(&when);  // fills in the day of the week
    const std::string format = to_text(arguments.get(0, "format")).bytes();
    char buffer[256];
    const size_t length =
        format.empty() || format.size() > 100 ? 0 : std::strftime(buffer, sizeof buffer, format.c_str(), &when);
    return Value::text(std::string_view(buffer, length));
  }

  Result<Value> range(const Node& node, const Arguments& arguments) {
    int64_t bounds[3] = {0, 0, 1};
    const size_t count = arguments.positional.size();
    if (count < 1 || count > 3) return wrong(node, "range takes one to three integers");
    for (size_t i = 0; i < count; ++i) {
      if (!arguments.positional[i].as_int(&bounds[count == 1 ? 1 : i])) return wrong(node, "range takes integers");
    }
    if (bounds[2] == 0) return wrong(node, "range's step is 0");
    List numbers;
    for (int64_t i = bounds[0]; bounds[2] > 0 ? i < bounds[1] : i > bounds[1];) {
      PHIAL_CHECKED(step());
      numbers.emplace_back(i);
      if (__builtin_add_overflow(i, bounds[2], &i)) break;
    }
    return Value(std::move(numbers));
  }

  Scope globals_;
  std::string date_;
  int depth_ = 0;
  int64_t steps_ = 0;
  size_t bytes_ = 0;
};

}  // namespace

Result<Text> run(const Node& root, const Dict& globals, const std::string& date) {
  return Interpreter(globals, date).run(root);
}

}  // namespace phial::generate::jinja
