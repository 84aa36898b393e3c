// The expressions of a chat template, parsed by recursive descent: one function a level of precedence, as Jinja's own
// grammar has them.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/base/utf8.h"
#include "phial/generate/jinja/lexer.h"
#include "phial/generate/jinja/syntax.h"

namespace phial::generate::jinja {

inline constexpr int kDeepestNesting = 120;  // brackets in brackets, blocks in blocks
inline constexpr int kDeepestTree = 400;     // chains of operators and attributes too

class ExpressionParser {
 public:
  using Node = ExpressionPtr;

  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  // One expression; without condition: no "a if b".
  Result<Node> expression(bool with_condition = true);
  Result<Node> tuple(bool with_condition, bool may_be_empty);
  Result<Node> filter(Node node);
  Result<Node> named_filter(Node node);

 protected:
  // Tokens.
  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  void advance() { at_ = std::min(at_ + 1, tokens_.size() - 1); }
  bool is(std::string_view op) const { return current().type == TokenType::kOperator && current().text == op; }
  bool is_name(std::string_view name) const { return current().type == TokenType::kName && current().text == name; }
  bool skip(std::string_view op) { return is(op) ? (advance(), true) : false; }
  bool skip_name(std::string_view name) { return is_name(name) ? (advance(), true) : false; }

  std::string describe() const {
    switch (current().type) {
      case TokenType::kData:
        return "text";
      case TokenType::kVariableBegin:
      case TokenType::kBlockBegin:
        return "begin of a tag";
      case TokenType::kVariableEnd:
      case TokenType::kBlockEnd:
        return "end of a tag";
      case TokenType::kEnd:
        return "end of the template";
      default:
        return "'" + printable(current().text) + "'";
    }
  }
  Error wrong(std::string what, Code code = Code::kCorrupt) const {
    return {code, "chat template line " + std::to_string(current().line) + ": " + std::move(what), ""};
  }
  Status expect(std::string_view op) {
    if (!skip(op)) return wrong("expected '" + std::string(op) + "', found " + describe());
    return ok();
  }
  Result<std::string> expect_name() {
    if (current().type != TokenType::kName) return wrong("expected a name, found " + describe());
    std::string name = current().text;
    advance();
    return name;
  }
  Status expect_type(TokenType type, const char* what) {
    if (current().type != type) return wrong(std::string("expected ") + what + ", found " + describe());
    advance();
    return ok();
  }

  // Nodes.
  Node make(Expression::Kind kind, std::string name = "") const {
    auto node = std::make_unique<Expression>();
    node->kind = kind;
    node->name = std::move(name);
    node->line = current().line;
    return node;
  }
  Status add(Expression& to, Node child) const {
    if (child) to.depth = std::max(to.depth, child->depth + 1);
    to.arguments.push_back(std::move(child));
    return to.depth > kDeepestTree ? Status(wrong("an expression is too long or nested too deeply")) : ok();
  }
  struct Nesting {
    explicit Nesting(int& depth) : depth_(depth) { ++depth_; }
    ~Nesting() { --depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    int& depth_;
  };

 private:
  // Operators of one level, grouping to the left.
  template <class Operand>
  Result<Node> chain(std::initializer_list<std::string_view> ops, const Operand& operand) {
    PHIAL_TRY(Node left, operand());
    for (;;) {
      const auto* op = std::find_if(ops.begin(), ops.end(), [&](std::string_view o) { return is(o); });
      if (op == ops.end()) return left;
      Node node = make(Expression::Kind::kBinary, std::string(*op));
      advance();
      PHIAL_CHECKED(add(*node, std::move(left)));
      PHIAL_TRY(Node right, operand());
      PHIAL_CHECKED(add(*node, std::move(right)));
      left = std::move(node);
    }
  }

  Result<Node> any_of();
  Result<Node> all_of();
  Result<Node> negation();
  Result<Node> comparison();
  Result<Node> sum();
  Result<Node> concatenation();
  Result<Node> product();
  Result<Node> power();
  Result<Node> unary(bool with_filters);
  Result<Node> primary();
  Result<Node> name_or_constant();
  Status items(Expression& to, std::string_view close, bool pairs);
  bool at_tuple_end() const;
  Result<Node> postfix(Node node);
  Result<Node> subscript(Node object);
  Result<Node> call(Node function);
  Status arguments(Expression& to);
  Result<Node> filters(Node node);
  Result<Node> test(Node node);

 protected:
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace phial::generate::jinja
