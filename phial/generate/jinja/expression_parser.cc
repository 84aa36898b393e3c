#include "phial/generate/jinja/expression_parser.h"

#include "phial/base/utf8.h"

namespace phial::generate::jinja {
namespace {

using Kind = Expression::Kind;
using Node = ExpressionPtr;

}  // namespace

Result<Node> ExpressionParser::expression(bool with_condition) {
  const Nesting nesting(depth_);
  if (depth_ > kDeepestNesting) return wrong("an expression is nested too deeply");
  PHIAL_TRY(Node left, any_of());
  while (with_condition && skip_name("if")) {
    Node node = make(Kind::kConditional);
    PHIAL_CHECKED(add(*node, std::move(left)));
    PHIAL_TRY(Node condition, any_of());
    PHIAL_CHECKED(add(*node, std::move(condition)));
    Node otherwise;
    if (skip_name("else")) {
      PHIAL_TRY(otherwise, expression());
    }
    PHIAL_CHECKED(add(*node, std::move(otherwise)));
    left = std::move(node);
  }
  return left;
}

Result<Node> ExpressionParser::any_of() {
  PHIAL_TRY(Node left, all_of());
  if (!is_name("or")) return left;
  Node node = make(Kind::kOr);
  PHIAL_CHECKED(add(*node, std::move(left)));
  while (skip_name("or")) {
    PHIAL_TRY(Node right, all_of());
    PHIAL_CHECKED(add(*node, std::move(right)));
  }
  return node;
}

Result<Node> ExpressionParser::all_of() {
  PHIAL_TRY(Node left, negation());
  if (!is_name("and")) return left;
  Node node = make(Kind::kAnd);
  PHIAL_CHECKED(add(*node, std::move(left)));
  while (skip_name("and")) {
    PHIAL_TRY(Node right, negation());
    PHIAL_CHECKED(add(*node, std::move(right)));
  }
  return node;
}

Result<Node> ExpressionParser::negation() {
  int negations = 0;
  while (skip_name("not")) ++negations;
  PHIAL_TRY(Node node, comparison());
  for (int i = 0; i < std::min(negations, 2 + negations % 2); ++i) {
    Node outer = make(Kind::kUnary, "not");
    PHIAL_CHECKED(add(*outer, std::move(node)));
    node = std::move(outer);
  }
  return node;
}

Result<Node> ExpressionParser::comparison() {
  PHIAL_TRY(Node left, sum());
  Node node;
  for (;;) {
    std::string op;
    for (const std::string_view candidate : {"==", "!=", "<", "<=", ">", ">="}) {
      if (is(candidate)) op = candidate;
    }
    if (!op.empty()) {
      advance();
    } else if (skip_name("in")) {
      op = "in";
    } else if (is_name("not") && next().type == TokenType::kName && next().text == "in") {
      advance();
      advance();
      op = "not in";
    } else {
      return node ? std::move(node) : std::move(left);
    }
    if (!node) {
      node = make(Kind::kCompare);
      PHIAL_CHECKED(add(*node, std::move(left)));
    }
    node->operators.push_back(std::move(op));
    PHIAL_TRY(Node right, sum());
    PHIAL_CHECKED(add(*node, std::move(right)));
  }
}

Result<Node> ExpressionParser::sum() {
  return chain({"+", "-"}, [this] { return concatenation(); });
}
Result<Node> ExpressionParser::concatenation() {
  PHIAL_TRY(Node left, product());
  if (!is("~")) return left;
  Node node = make(Kind::kConcat);
  PHIAL_CHECKED(add(*node, std::move(left)));
  while (skip("~")) {
    PHIAL_TRY(Node right, product());
    PHIAL_CHECKED(add(*node, std::move(right)));
  }
  return node;
}
Result<Node> ExpressionParser::product() {
  return chain({"*", "/", "//", "%"}, [this] { return power(); });
}
Result<Node> ExpressionParser::power() {
  return chain({"**"}, [this] { return unary(true); });
}

Result<Node> ExpressionParser::unary(bool with_filters) {
  const Nesting nesting(depth_);
  if (depth_ > kDeepestNesting) return wrong("an expression is nested too deeply");
  Node node;
  if (is("-") || is("+")) {
    Node outer = make(Kind::kUnary, current().text);
    advance();
    PHIAL_TRY(Node inner, unary(false));
    PHIAL_CHECKED(add(*outer, std::move(inner)));
    node = std::move(outer);
  } else {
    PHIAL_TRY(node, primary());
  }
  PHIAL_TRY(node, postfix(std::move(node)));
  return with_filters ? filters(std::move(node)) : Result<Node>(std::move(node));
}

Result<Node> ExpressionParser::primary() {
  const Token& token = current();
  if (token.type == TokenType::kName) return name_or_constant();
  Node node = make(Kind::kLiteral);
  if (token.type == TokenType::kString) {
    std::string text;
    for (; current().type == TokenType::kString; advance()) text += current().text;
    node->value = Value::own_text(text);
    return node;
  }
  if (token.type == TokenType::kInteger || token.type == TokenType::kFloat) {
    node->value = token.type == TokenType::kInteger ? Value::of(token.integer) : Value::of(token.number);
    advance();
    return node;
  }
  if (skip("(")) {
    PHIAL_TRY(node, tuple(true, true));
    PHIAL_CHECKED(expect(")"));
    return node;
  }
  if (skip("[")) {
    node->kind = Kind::kList;
    PHIAL_CHECKED(items(*node, "]", false));
    return node;
  }
  if (skip("{")) {
    node->kind = Kind::kDict;
    PHIAL_CHECKED(items(*node, "}", true));
    return node;
  }
  return wrong("expected an expression, found " + describe());
}

Result<Node> ExpressionParser::name_or_constant() {
  const std::string name = current().text;
  for (const std::string_view reserved : {"if", "else", "and", "or", "not", "in", "is", "elif"}) {
    if (name == reserved) return wrong("expected an expression, found " + describe());
  }
  Node node = make(Kind::kLiteral);
  advance();
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    node->value = Value::of(name == "true" || name == "True");
  } else if (name == "none" || name == "None") {
    node->value = Value::none();
  } else {
    node->kind = Kind::kName;
    node->name = name;
  }
  return node;
}

// Up to and with `close`; pairs: key ":" value.
Status ExpressionParser::items(Expression& to, std::string_view close, bool pairs) {
  while (!is(close)) {
    PHIAL_TRY(Node item, expression());
    PHIAL_CHECKED(add(to, std::move(item)));
    if (pairs) {
      PHIAL_CHECKED(expect(":"));
      PHIAL_TRY(Node value, expression());
      PHIAL_CHECKED(add(to, std::move(value)));
    }
    if (!skip(",")) break;
  }
  return expect(close);
}

bool ExpressionParser::at_tuple_end() const {
  return current().type == TokenType::kVariableEnd || current().type == TokenType::kBlockEnd || is(")");
}

// One expression, or a tuple if commas follow.
Result<Node> ExpressionParser::tuple(bool with_condition, bool may_be_empty) {
  Node node = make(Kind::kTuple);
  bool has_comma = false;
  while (!at_tuple_end()) {
    PHIAL_TRY(Node item, expression(with_condition));
    PHIAL_CHECKED(add(*node, std::move(item)));
    if (!skip(",")) break;
    has_comma = true;
  }
  if (has_comma) return node;
  if (node->arguments.empty()) {
    if (!may_be_empty) return wrong("expected an expression, found " + describe());
    return node;
  }
  return std::move(node->arguments.front());
}

Result<Node> ExpressionParser::postfix(Node node) {
  for (;;) {
    if (skip(".")) {
      const bool is_index = current().type == TokenType::kInteger;
      Node outer = make(is_index ? Kind::kItem : Kind::kAttribute);
      PHIAL_CHECKED(add(*outer, std::move(node)));
      if (is_index) {
        Node index = make(Kind::kLiteral);
        index->value = Value::of(current().integer);
        advance();
        PHIAL_CHECKED(add(*outer, std::move(index)));
      } else {
        PHIAL_TRY(outer->name, expect_name());
      }
      node = std::move(outer);
    } else if (skip("[")) {
      PHIAL_TRY(node, subscript(std::move(node)));
    } else if (is("(")) {
      PHIAL_TRY(node, call(std::move(node)));
    } else {
      return node;
    }
  }
}

Result<Node> ExpressionParser::subscript(Node object) {
  Node node = make(Kind::kItem);
  PHIAL_CHECKED(add(*node, std::move(object)));
  for (int part = 0;; ++part) {
    Node value;
    if (!is(":") && !is("]")) {
      PHIAL_TRY(value, expression());
    }
    if (part == 0 && !is(":") && !value) return wrong("expected an index, found " + describe());
    PHIAL_CHECKED(add(*node, std::move(value)));
    if (part == 2 || !skip(":")) break;
    node->kind = Kind::kSlice;
  }
  if (is(",")) return wrong("an index of several parts is not supported", Code::kUnsupported);
  PHIAL_CHECKED(expect("]"));
  while (node->kind == Kind::kSlice && node->arguments.size() < 4) PHIAL_CHECKED(add(*node, nullptr));
  return node;
}

Result<Node> ExpressionParser::call(Node function) {
  Node node = make(Kind::kCall);
  PHIAL_CHECKED(add(*node, std::move(function)));
  PHIAL_CHECKED(arguments(*node));
  return node;
}

Status ExpressionParser::arguments(Expression& to) {
  PHIAL_CHECKED(expect("("));
  while (!is(")")) {
    if (is("*") || is("**")) return wrong("unpacked arguments are not supported", Code::kUnsupported);
    if (current().type == TokenType::kName && next().type == TokenType::kOperator && next().text == "=") {
      std::string name = current().text;
      advance();
      advance();
      PHIAL_TRY(Node value, expression());
      to.depth = std::max(to.depth, value->depth + 1);
      to.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (!to.named.empty()) return wrong("a positional argument follows a named one");
      PHIAL_TRY(Node value, expression());
      PHIAL_CHECKED(add(to, std::move(value)));
    }
    if (!skip(",")) break;
  }
  return expect(")");
}

Result<Node> ExpressionParser::filters(Node node) {
  for (;;) {
    if (is("|")) {
      PHIAL_TRY(node, filter(std::move(node)));
    } else if (skip_name("is")) {
      PHIAL_TRY(node, test(std::move(node)));
    } else if (is("(")) {
      PHIAL_TRY(node, call(std::move(node)));
    } else {
      return node;
    }
  }
}

// "| name(...)" once, or as often as it stands here for a block.
Result<Node> ExpressionParser::filter(Node node) {
  PHIAL_CHECKED(expect("|"));
  return named_filter(std::move(node));
}
Result<Node> ExpressionParser::named_filter(Node node) {
  Node outer = make(Kind::kFilter);
  PHIAL_TRY(outer->name, expect_name());
  PHIAL_CHECKED(add(*outer, std::move(node)));
  if (is("(")) PHIAL_CHECKED(arguments(*outer));
  return outer;
}

Result<Node> ExpressionParser::test(Node node) {
  const bool negated = skip_name("not");
  Node outer = make(Kind::kTest);
  PHIAL_TRY(outer->name, expect_name());
  PHIAL_CHECKED(add(*outer, std::move(node)));
  const TokenType type = current().type;
  const bool ends = is_name("else") || is_name("or") || is_name("and");
  if (is("(")) {
    PHIAL_CHECKED(arguments(*outer));
  } else if (!ends && (type == TokenType::kName || type == TokenType::kString || type == TokenType::kInteger ||
                       type == TokenType::kFloat || is("[") || is("{"))) {
    if (is_name("is")) return wrong("tests cannot be chained");
    PHIAL_TRY(Node argument, primary());
    PHIAL_TRY(argument, postfix(std::move(argument)));
    PHIAL_CHECKED(add(*outer, std::move(argument)));
  }
  if (!negated) return outer;
  Node negation = make(Kind::kUnary, "not");
  PHIAL_CHECKED(add(*negation, std::move(outer)));
  return negation;
}

}  // namespace phial::generate::jinja
