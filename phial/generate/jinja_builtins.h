// The filters, tests and methods that templates call, with Python's meaning.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "phial/base/result.h"
#include "phial/generate/jinja_value.h"

namespace phial::generate::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // The argument at `index` or called `name`; undefined if there is none.
  const Value& get(size_t index, std::string_view name) const;
};

// All three: kUnsupported names what we do not have, kInvalid what makes no sense.
Result<Value> apply_filter(std::string_view name, const Value& value, const Arguments& arguments);
Result<Value> apply_test(std::string_view name, const Value& value, const Arguments& arguments);
Result<Value> call_method(std::string_view name, const Value& object, const Arguments& arguments);

// What a loop or a filter walks over: a list, a text's characters, a dict's keys. Undefined is empty.
Result<List> items_of(const Value& value);

// `needle` in `haystack`.
Result<bool> contains(const Value& haystack, const Value& needle);

// object.name or object[name]; undefined if there is none.
Value member(const Value& object, std::string_view name);

}  // namespace phial::generate::jinja
