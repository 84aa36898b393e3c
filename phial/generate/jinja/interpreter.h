// Runs a parsed chat template. Work and memory are bounded: a hostile template ends with an error, never with a hang.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <ctime>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "phial/base/result.h"
#include "phial/generate/jinja/syntax.h"
#include "phial/generate/jinja/value.h"

namespace phial::generate::jinja {

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // The argument at `position` or of that name; null if there is none.
  const Value* find(size_t position, std::string_view name) const;
};

class Interpreter {
 public:
  // `budget`: one a step and one a byte that is written or copied. `now`: what strftime_now tells.
  Interpreter(uint64_t budget, const std::tm& now) : budget_(budget), now_(now) {}

  void define(std::string name, Value value) { globals_[std::move(name)] = std::move(value); }

  // kInvalid for what the template itself or its types refuse, kUnsupported by name, kOutOfRange past the budget.
  Result<Text> run(const std::vector<Statement>& statements);

  // For the functions, filters and tests of the language.
  Status spend(uint64_t cost);
  Result<Value> make_namespace(const Arguments& arguments);
  const std::tm& now() const { return now_; }

 private:
  enum class Flow { kNext, kBreak, kContinue };
  using Scope = std::map<std::string, Value, std::less<>>;

  // A scope on the stack for as long as it lives.
  class Inner {
   public:
    explicit Inner(std::vector<Scope>& scopes) : scopes_(scopes) { scopes_.emplace_back(); }
    ~Inner() { scopes_.pop_back(); }
    Inner(const Inner&) = delete;
    Inner& operator=(const Inner&) = delete;

   private:
    std::vector<Scope>& scopes_;
  };

  Value look_up(const std::string& name) const;
  Status write(const Text& text);

  Result<Flow> run_body(const std::vector<Statement>& statements);
  Result<Flow> run_one(const Statement& statement);
  Result<Flow> run_if(const Statement& statement);
  Result<Flow> run_for(const Statement& statement);
  Status run_set(const Statement& statement);
  Status run_set_block(const Statement& statement);
  Status run_filter(const Statement& statement);
  // What `statements` write, instead of writing it.
  Result<Text> capture(const std::vector<Statement>& statements);
  Status assign(const std::vector<std::string>& targets, const Value& value);
  Result<Value> call_macro(const Statement& macro, const Arguments& arguments);

  Result<Value> evaluate(const Expression& expression);
  Result<Value> evaluate_kind(const Expression& expression);
  Result<std::vector<Value>> evaluate_all(const Expression& expression, size_t first = 0);
  Result<Arguments> evaluate_arguments(const Expression& expression, size_t first);
  Result<Value> attribute(const Expression& expression);
  Result<Value> item(const Expression& expression);
  Result<Value> slice(const Expression& expression);
  Result<Value> call(const Expression& expression);
  Result<Value> filter(const Expression& expression);
  Result<Value> test(const Expression& expression);
  Result<Value> unary(const Expression& expression);
  Result<Value> binary(const Expression& expression);
  Result<Value> concatenation(const Expression& expression);
  Result<Value> comparison(const Expression& expression);
  Result<bool> compare_by(const std::string& op, const Value& left, const Value& right);

  uint64_t budget_;
  std::tm now_;
  Scope globals_;
  std::vector<Scope> scopes_;
  size_t visible_ = 0;  // of scopes_, those from here and the first are seen (a macro sees no caller)
  std::deque<Namespace> spaces_;
  Text* out_ = nullptr;
  Value captured_;  // what a block has written, for its filters
  int depth_ = 0;
};

}  // namespace phial::generate::jinja
