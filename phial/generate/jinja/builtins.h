// The functions, methods, filters and tests of the template language. Errors: kUnsupported by name for what is not
// there, kInvalid for values that do not fit.
#pragma once

#include <string_view>

#include "phial/generate/jinja/interpreter.h"

namespace phial::generate::jinja {

// Whether `name` is a method of the value's type.
bool has_method(const Value& value, std::string_view name);
bool is_function(std::string_view name);

Result<Value> call_function(Interpreter& interpreter, std::string_view name, const Arguments& arguments);
Result<Value> call_method(Interpreter& interpreter, const Value& self, std::string_view name,
                          const Arguments& arguments);
Result<Value> apply_filter(Interpreter& interpreter, std::string_view name, const Value& value,
                           const Arguments& arguments);
Result<bool> apply_test(std::string_view name, const Value& value, const Arguments& arguments);

// The elements as a loop sees them: a list's, a dictionary's keys, a string's characters. kInvalid for other types.
Result<std::vector<Value>> elements(Interpreter& interpreter, const Value& value);

// `container` holds `value`.
Result<bool> contains(Interpreter& interpreter, const Value& container, const Value& value);

// Strings for the built-ins: upper, lower, title, capitalize. kUnsupported for letters outside of ASCII.
Result<Text> change_case(const Text& text, std::string_view how);
Result<Text> replace(Interpreter& interpreter, const Text& text, const Text& from, const Text& to, int64_t count);
Result<Text> join(Interpreter& interpreter, const Text& separator, const std::vector<Value>& items);

}  // namespace phial::generate::jinja
