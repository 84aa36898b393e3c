// The tests behind "is".

#include <cmath>

#include "phial/base/utf8.h"
#include "phial/generate/jinja/builtins.h"

namespace phial::generate::jinja {
namespace {

bool is_number(const Value& value) {
  double number = 0;
  return value.as_number(number);
}

// Tests that look at the value alone. False in `known` if `name` is not one.
bool of_type(std::string_view name, const Value& v, bool& known) {
  known = true;
  if (name == "defined") return !v.is_undefined();
  if (name == "undefined") return v.is_undefined();
  if (name == "none") return v.is_none();
  if (name == "boolean") return v.boolean() != nullptr;
  if (name == "true") return v.boolean() && *v.boolean();
  if (name == "false") return v.boolean() && !*v.boolean();
  if (name == "integer") return v.integer() != nullptr;
  if (name == "float") return v.floating() != nullptr;
  if (name == "number") return is_number(v);
  if (name == "string") return v.text() != nullptr;
  if (name == "mapping") return v.dict() != nullptr;
  if (name == "iterable" || name == "sequence") return v.text() || v.list() || v.dict() || v.is_undefined();
  if (name == "callable") return v.callable() != nullptr;
  known = false;
  return false;
}

}  // namespace

Result<bool> apply_test(std::string_view name, const Value& value, const Arguments& arguments) {
  bool known = false;
  const bool holds = of_type(name, value, known);
  if (known) return holds;
  if (name == "odd" || name == "even" || name == "divisibleby") {
    int64_t number = 0, divisor = 2;
    const Value* given = name == "divisibleby" ? arguments.find(0, "num") : nullptr;
    if (!value.as_integer(number) || (given && !given->as_integer(divisor)) || divisor == 0 ||
        (name == "divisibleby" && !given)) {
      return Error{Code::kInvalid, "'is " + std::string(name) + "' takes whole numbers", ""};
    }
    const bool divides = divisor == -1 || number % divisor == 0;
    return name == "odd" ? !divides : divides;
  }
  const Value* other = arguments.find(0, "other");
  if (other) {
    if (name == "eq" || name == "equalto" || name == "==" || name == "sameas") return equal(value, *other);
    if (name == "ne" || name == "!=") return !equal(value, *other);
    const bool lt = name == "lt" || name == "lessthan" || name == "<";
    const bool gt = name == "gt" || name == "greaterthan" || name == ">";
    const bool le = name == "le" || name == "<=", ge = name == "ge" || name == ">=";
    if (lt || gt || le || ge) {
      PHIAL_TRY(const int order, compare(value, *other));
      return lt ? order < 0 : gt ? order > 0 : le ? order <= 0 : order >= 0;
    }
  }
  if ((name == "upper" || name == "lower") && value.text()) {
    PHIAL_TRY(const Text changed, change_case(*value.text(), name));
    PHIAL_TRY(const Text opposite, change_case(*value.text(), name == "upper" ? "lower" : "upper"));
    return changed.bytes == value.text()->bytes && changed.bytes != opposite.bytes;
  }
  return Error{Code::kUnsupported, "the test '" + printable(name) + "' is not supported", ""};
}

}  // namespace phial::generate::jinja
