#include "phial/generate/jinja/interpreter.h"

#include <algorithm>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/generate/jinja/builtins.h"

namespace phial::generate::jinja {
namespace {

Error at_line(Error error, int line) {
  if (!error.message.starts_with("chat template line")) {
    error.message = "chat template line " + std::to_string(line) + ": " + error.message;
  }
  return error;
}

// The loop variable of one turn.
Result<Value> loop_variable(const std::vector<Value>& items, size_t i) {
  const auto number = [](size_t value) { return Value::of(static_cast<int64_t>(value)); };
  std::vector<std::pair<Value, Value>> fields;
  const auto set = [&](const char* name, Value value) { fields.emplace_back(Value::own_text(name), std::move(value)); };
  set("index", number(i + 1));
  set("index0", number(i));
  set("revindex", number(items.size() - i));
  set("revindex0", number(items.size() - i - 1));
  set("first", Value::of(i == 0));
  set("last", Value::of(i + 1 == items.size()));
  set("length", number(items.size()));
  set("previtem", i > 0 ? items[i - 1] : Value::undefined("loop.previtem"));
  set("nextitem", i + 1 < items.size() ? items[i + 1] : Value::undefined("loop.nextitem"));
  return make_dict(std::move(fields));
}

}  // namespace

const Value* Arguments::find(size_t position, std::string_view name) const {
  if (position < positional.size()) return &positional[position];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

Status Interpreter::spend(uint64_t cost) {
  if (cost > budget_) {
    budget_ = 0;
    return Error{Code::kOutOfRange, "the chat template does too much work", "use another template"};
  }
  budget_ -= cost;
  return ok();
}

Result<Value> Interpreter::make_namespace(const Arguments& arguments) {
  Namespace& space = spaces_.emplace_back();
  for (const auto& [name, value] : arguments.named) space.items.emplace_back(name, value);
  return Value::of(&space);
}

Value Interpreter::look_up(const std::string& name) const {
  for (size_t i = scopes_.size(); i-- > visible_;) {
    if (const auto found = scopes_[i].find(name); found != scopes_[i].end()) return found->second;
  }
  if (!scopes_.empty()) {
    if (const auto found = scopes_[0].find(name); found != scopes_[0].end()) return found->second;
  }
  if (const auto found = globals_.find(name); found != globals_.end()) return found->second;
  if (!is_function(name)) return Value::undefined(name);
  return Value::of(std::make_shared<const Callable>(Callable{name, Value(), nullptr}));
}

Status Interpreter::write(const Text& text) {
  PHIAL_CHECKED(spend(text.bytes.size() + text.plain.size() * kWeightOfValue));
  out_->append(text);
  return ok();
}

Result<Text> Interpreter::run(const std::vector<Statement>& statements) {
  const Inner root(scopes_);
  return capture(statements);
}

Result<Text> Interpreter::capture(const std::vector<Statement>& statements) {
  Text text;
  Text* outer = std::exchange(out_, &text);
  const auto flow = run_body(statements);
  out_ = outer;
  if (!flow) return flow.error();
  return text;
}

Result<Interpreter::Flow> Interpreter::run_body(const std::vector<Statement>& statements) {
  for (const Statement& statement : statements) {
    auto flow = run_one(statement);
    if (!flow) return at_line(std::move(flow).error(), statement.line);
    if (*flow != Flow::kNext) return *flow;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run_one(const Statement& statement) {
  PHIAL_CHECKED(spend(kWeightOfValue));
  switch (statement.kind) {
    case Statement::Kind::kData:
      PHIAL_CHECKED(write(*statement.value.text()));
      break;
    case Statement::Kind::kOutput: {
      PHIAL_TRY(const Value value, evaluate(*statement.expression));
      PHIAL_CHECKED(spend(value.weight()));
      PHIAL_TRY(const Text text, to_text(value));
      PHIAL_CHECKED(write(text));
      break;
    }
    case Statement::Kind::kIf:
      return run_if(statement);
    case Statement::Kind::kFor:
      return run_for(statement);
    case Statement::Kind::kSet:
      PHIAL_CHECKED(run_set(statement));
      break;
    case Statement::Kind::kSetBlock:
      PHIAL_CHECKED(run_set_block(statement));
      break;
    case Statement::Kind::kFilter:
      PHIAL_CHECKED(run_filter(statement));
      break;
    case Statement::Kind::kMacro:
      scopes_.back()[statement.name] =
          Value::of(std::make_shared<const Callable>(Callable{statement.name, Value(), &statement}));
      break;
    case Statement::Kind::kGroup:
      return run_body(statement.bodies[0]);
    case Statement::Kind::kBreak:
      return Flow::kBreak;
    case Statement::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Result<Interpreter::Flow> Interpreter::run_if(const Statement& statement) {
  for (size_t i = 0; i < statement.conditions.size(); ++i) {
    PHIAL_TRY(const Value condition, evaluate(*statement.conditions[i]));
    if (condition.is_true()) return run_body(statement.bodies[i]);
  }
  if (statement.bodies.size() == statement.conditions.size()) return Flow::kNext;
  return run_body(statement.bodies.back());
}

Result<Interpreter::Flow> Interpreter::run_for(const Statement& statement) {
  PHIAL_TRY(const Value sequence, evaluate(*statement.expression));
  PHIAL_TRY(std::vector<Value> items, elements(*this, sequence));
  if (statement.condition) {
    std::vector<Value> kept;
    for (Value& item : items) {
      const Inner scope(scopes_);
      PHIAL_CHECKED(assign(statement.targets, item));
      PHIAL_TRY(const Value condition, evaluate(*statement.condition));
      if (condition.is_true()) kept.push_back(std::move(item));
    }
    items = std::move(kept);
  }
  if (items.empty() && statement.bodies.size() > 1) {
    const Inner scope(scopes_);
    return run_body(statement.bodies[1]);
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const Inner scope(scopes_);
    PHIAL_CHECKED(spend(10 * kWeightOfValue));
    PHIAL_TRY(scopes_.back()["loop"], loop_variable(items, i));
    PHIAL_CHECKED(assign(statement.targets, items[i]));
    PHIAL_TRY(const Flow flow, run_body(statement.bodies[0]));
    if (flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

Status Interpreter::assign(const std::vector<std::string>& targets, const Value& value) {
  if (targets.size() == 1) {
    scopes_.back()[targets[0]] = value;
    return ok();
  }
  const List* list = value.list();
  if (!list || list->items.size() != targets.size()) {
    return Error{Code::kInvalid,
                 "a " + std::string(value.type_name()) + " does not have the " + std::to_string(targets.size()) +
                     " parts that names are given for",
                 ""};
  }
  for (size_t i = 0; i < targets.size(); ++i) scopes_.back()[targets[i]] = list->items[i];
  return ok();
}

Status Interpreter::run_set(const Statement& statement) {
  PHIAL_TRY(const Value value, evaluate(*statement.expression));
  if (statement.namespace_field.empty()) return assign(statement.targets, value);
  const Value target = look_up(statement.targets[0]);
  Namespace* space = target.space();
  if (!space) {
    return Error{Code::kInvalid, "'" + printable(statement.targets[0]) + "' is no namespace to set a field of", ""};
  }
  for (auto& [name, held] : space->items) {
    if (name == statement.namespace_field) {
      held = value;
      return ok();
    }
  }
  space->items.emplace_back(statement.namespace_field, value);
  return ok();
}

Status Interpreter::run_set_block(const Statement& statement) {
  auto captured = [&] {
    const Inner scope(scopes_);
    return capture(statement.bodies[0]);
  }();
  PHIAL_TRY(Text text, std::move(captured));
  Value value = Value::of(std::move(text));
  if (statement.expression) {
    captured_ = std::move(value);
    PHIAL_TRY(value, evaluate(*statement.expression));
  }
  scopes_.back()[statement.targets[0]] = std::move(value);
  return ok();
}

Status Interpreter::run_filter(const Statement& statement) {
  auto captured = [&] {
    const Inner scope(scopes_);
    return capture(statement.bodies[0]);
  }();
  PHIAL_TRY(Text text, std::move(captured));
  captured_ = Value::of(std::move(text));
  PHIAL_TRY(const Value value, evaluate(*statement.expression));
  PHIAL_CHECKED(spend(value.weight()));
  PHIAL_TRY(const Text result, to_text(value));
  return write(result);
}

Result<Value> Interpreter::call_macro(const Statement& macro, const Arguments& arguments) {
  if (arguments.positional.size() > macro.targets.size()) {
    return Error{Code::kInvalid, "the macro '" + printable(macro.name) + "' is given too many arguments", ""};
  }
  constexpr int kFramesOfMacro = 20;  // of the stack, beside an expression's
  depth_ += kFramesOfMacro;
  const size_t outer = std::exchange(visible_, scopes_.size());
  auto text = [&]() -> Result<Text> {
    const Inner scope(scopes_);
    for (size_t i = 0; i < macro.targets.size(); ++i) {
      const std::string& name = macro.targets[i];
      Value value = Value::undefined(name);
      if (const Value* given = arguments.find(i, name)) {
        value = *given;
      } else if (macro.conditions[i]) {
        PHIAL_TRY(value, evaluate(*macro.conditions[i]));
      }
      scopes_.back()[name] = std::move(value);
    }
    return capture(macro.bodies[0]);
  }();
  visible_ = outer;
  depth_ -= kFramesOfMacro;
  PHIAL_TRY(Text written, std::move(text));
  return Value::of(std::move(written));
}

}  // namespace phial::generate::jinja
