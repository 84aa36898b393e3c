#include "phial/generate/jinja_parser.h"

#include <algorithm>
#include <charconv>

#include "phial/generate/jinja_lexer.h"

namespace phial::generate::jinja {
namespace {

using NodePtr = std::unique_ptr<Node>;

constexpr int kMaxDepth = 120;
constexpr size_t kMaxTokens = 200000;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<NodePtr> run() {
    PHIAL_TRY(NodePtr body, statements({}));
    if (peek().kind != TokenKind::kEnd) return wrong("unexpected '" + peek().text + "'");
    return body;
  }

 private:
  // Counts how deep the parser stands in itself: a hostile template must not exhaust the stack.
  class Depth {
   public:
    explicit Depth(int& depth) : depth_(++depth) {}
    ~Depth() { --depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    int& depth_;
  };

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token next() {
    Token token = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool is_operator(std::string_view text, size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::kOperator && peek(ahead).text == text;
  }
  bool is_name(std::string_view text, size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::kName && peek(ahead).text == text;
  }
  bool take_operator(std::string_view text) { return is_operator(text) && (next(), true); }
  bool take_name(std::string_view text) { return is_name(text) && (next(), true); }

  Error wrong(const std::string& what) const {
    return Error{Code::kInvalid, "chat template, line " + std::to_string(peek().line) + ": " + what, ""};
  }
  Status want_operator(std::string_view text) {
    if (take_operator(text)) return ok();
    return wrong("'" + std::string(text) + "' is missing");
  }
  Result<std::string> want_name() {
    if (peek().kind != TokenKind::kName) return wrong("a name is missing");
    return next().text;
  }
  Status end_block() {
    if (peek().kind != TokenKind::kBlockEnd) return wrong("'%}' is missing before '" + peek().text + "'");
    next();
    return ok();
  }

  NodePtr make(NodeKind kind) const {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->line = peek().line;
    return node;
  }
  NodePtr make(NodeKind kind, std::string text, NodePtr a, NodePtr b = nullptr) const {
    NodePtr node = make(kind);
    node->text = std::move(text);
    node->children.push_back(std::move(a));
    if (b) node->children.push_back(std::move(b));
    return node;
  }

  bool at_block(std::string_view name) const { return peek().kind == TokenKind::kBlockBegin && is_name(name, 1); }

  // Statements up to a block tag of one of these names, which is left standing.
  Result<NodePtr> statements(const std::vector<std::string_view>& ends) {
    const Depth depth(depth_);
    if (depth_ > kMaxDepth) return wrong("it nests too deeply");
    NodePtr body = make(NodeKind::kBody);
    while (peek().kind != TokenKind::kEnd) {
      if (std::any_of(ends.begin(), ends.end(), [&](std::string_view name) { return at_block(name); })) return body;
      if (peek().kind == TokenKind::kData) {
        NodePtr data = make(NodeKind::kData);
        data->text = next().text;
        body->children.push_back(std::move(data));
      } else if (peek().kind == TokenKind::kOutputBegin) {
        next();
        PHIAL_TRY(NodePtr value, tuple());
        if (peek().kind != TokenKind::kOutputEnd) return wrong("'}}' is missing before '" + peek().text + "'");
        next();
        body->children.push_back(make(NodeKind::kOutput, "", std::move(value)));
      } else if (peek().kind == TokenKind::kBlockBegin) {
        next();
        PHIAL_TRY(NodePtr block, statement());
        body->children.push_back(std::move(block));
      } else {
        return wrong("unexpected '" + peek().text + "'");
      }
    }
    if (!ends.empty()) return wrong("'" + std::string(ends.back()) + "' is missing at the end");
    return body;
  }

  Result<NodePtr> statement() {
    PHIAL_TRY(const std::string name, want_name());
    if (name == "if") return if_statement();
    if (name == "for") return for_statement();
    if (name == "set") return set_statement();
    if (name == "macro") return macro_statement();
    if (name == "generation") {  // marks what is trained on; it only groups here
      PHIAL_CHECKED(end_block());
      PHIAL_TRY(NodePtr body, statements({"endgeneration"}));
      PHIAL_CHECKED(close());
      return body;
    }
    if (name == "break" || name == "continue") {
      PHIAL_CHECKED(end_block());
      return make(name == "break" ? NodeKind::kBreak : NodeKind::kContinue);
    }
    return Error{Code::kUnsupported,
                 "chat template, line " + std::to_string(peek().line) + ": the tag '" + name + "' is not supported",
                 ""};
  }

  // The end tag that statements() has stopped at.
  Status close() {
    next();
    next();
    return end_block();
  }

  Result<NodePtr> if_statement() {
    NodePtr node = make(NodeKind::kIf);
    PHIAL_TRY(NodePtr condition, tuple());
    PHIAL_CHECKED(end_block());
    PHIAL_TRY(NodePtr then, statements({"elif", "else", "endif"}));
    node->children.push_back(std::move(condition));
    node->children.push_back(std::move(then));
    node->children.push_back(nullptr);
    if (at_block("elif")) {
      const Depth depth(depth_);
      if (depth_ > kMaxDepth) return wrong("it nests too deeply");
      next();
      next();
      PHIAL_TRY(node->children[2], if_statement());
      return node;
    }
    if (at_block("else")) {
      PHIAL_CHECKED(close());
      PHIAL_TRY(node->children[2], statements({"endif"}));
    }
    PHIAL_CHECKED(close());
    return node;
  }

  Result<NodePtr> for_statement() {
    NodePtr node = make(NodeKind::kFor);
    const bool parenthesised = take_operator("(");
    do {
      PHIAL_TRY(std::string name, want_name());
      node->names.push_back(std::move(name));
    } while (take_operator(","));
    if (parenthesised) {
      PHIAL_CHECKED(want_operator(")"));
    }
    if (!take_name("in")) return wrong("'in' is missing");
    PHIAL_TRY(NodePtr iterable, no_ternary());
    node->children.push_back(std::move(iterable));
    node->children.push_back(nullptr);
    if (take_name("if")) {
      PHIAL_TRY(node->children[1], expression());
    }
    if (take_name("recursive"))
      return Error{Code::kUnsupported, "chat template: a recursive loop is not supported", ""};
    PHIAL_CHECKED(end_block());
    PHIAL_TRY(NodePtr body, statements({"else", "endfor"}));
    node->children.push_back(std::move(body));
    node->children.push_back(nullptr);
    if (at_block("else")) {
      PHIAL_CHECKED(close());
      PHIAL_TRY(node->children[3], statements({"endfor"}));
    }
    PHIAL_CHECKED(close());
    return node;
  }

  // The iterable of a loop: a list without parentheses, and no ternary, because `if` there filters.
  Result<NodePtr> no_ternary() {
    PHIAL_TRY(NodePtr first, disjunction());
    if (!is_operator(",")) return first;
    NodePtr node = make(NodeKind::kTuple);
    node->children.push_back(std::move(first));
    while (take_operator(",")) {
      PHIAL_TRY(NodePtr item, disjunction());
      node->children.push_back(std::move(item));
    }
    return node;
  }

  Result<NodePtr> set_statement() {
    PHIAL_TRY(NodePtr target, set_target());
    if (take_operator("=")) {
      PHIAL_TRY(NodePtr value, tuple());
      PHIAL_CHECKED(end_block());
      return make(NodeKind::kSet, "", std::move(target), std::move(value));
    }
    PHIAL_CHECKED(end_block());
    PHIAL_TRY(NodePtr body, statements({"endset"}));
    PHIAL_CHECKED(close());
    return make(NodeKind::kSetBlock, "", std::move(target), std::move(body));
  }

  Result<NodePtr> set_target() {
    NodePtr node = make(NodeKind::kName);
    PHIAL_TRY(node->text, want_name());
    if (take_operator(".")) {
      PHIAL_TRY(std::string attribute, want_name());
      return make(NodeKind::kAttribute, std::move(attribute), std::move(node));
    }
    if (!is_operator(",")) return node;
    NodePtr names = make(NodeKind::kTuple);
    names->children.push_back(std::move(node));
    while (take_operator(",")) {
      NodePtr name = make(NodeKind::kName);
      PHIAL_TRY(name->text, want_name());
      names->children.push_back(std::move(name));
    }
    return names;
  }

  Result<NodePtr> macro_statement() {
    NodePtr node = make(NodeKind::kMacro);
    PHIAL_TRY(node->text, want_name());
    PHIAL_CHECKED(want_operator("("));
    node->children.push_back(nullptr);
    while (!is_operator(")")) {
      PHIAL_TRY(std::string name, want_name());
      node->names.push_back(std::move(name));
      if (take_operator("=")) {
        PHIAL_TRY(NodePtr value, expression());
        node->children.push_back(std::move(value));
      } else if (node->children.size() > 1) {
        return wrong("a parameter without default follows one with it");
      }
      if (!take_operator(",")) break;
    }
    PHIAL_CHECKED(want_operator(")"));
    PHIAL_CHECKED(end_block());
    PHIAL_TRY(node->children[0], statements({"endmacro"}));
    PHIAL_CHECKED(close());
    return node;
  }

  // An expression, or several separated by commas as a tuple.
  Result<NodePtr> tuple() {
    PHIAL_TRY(NodePtr first, expression());
    if (!is_operator(",")) return first;
    NodePtr node = make(NodeKind::kTuple);
    node->children.push_back(std::move(first));
    while (take_operator(",")) {
      if (peek().kind == TokenKind::kBlockEnd || peek().kind == TokenKind::kOutputEnd || is_operator(")")) break;
      PHIAL_TRY(NodePtr item, expression());
      node->children.push_back(std::move(item));
    }
    return node;
  }

  Result<NodePtr> expression() {
    const Depth depth(depth_);
    if (depth_ > kMaxDepth) return wrong("it nests too deeply");
    PHIAL_TRY(NodePtr value, disjunction());
    while (take_name("if")) {
      PHIAL_TRY(NodePtr condition, disjunction());
      NodePtr node = make(NodeKind::kTernary);
      node->children.push_back(std::move(condition));
      node->children.push_back(std::move(value));
      node->children.push_back(nullptr);
      if (take_name("else")) {
        PHIAL_TRY(node->children[2], expression());
      }
      value = std::move(node);
    }
    return value;
  }

  Result<NodePtr> disjunction() {
    PHIAL_TRY(NodePtr left, conjunction());
    while (take_name("or")) {
      PHIAL_TRY(NodePtr right, conjunction());
      left = make(NodeKind::kBinary, "or", std::move(left), std::move(right));
    }
    return left;
  }

  Result<NodePtr> conjunction() {
    PHIAL_TRY(NodePtr left, negation());
    while (take_name("and")) {
      PHIAL_TRY(NodePtr right, negation());
      left = make(NodeKind::kBinary, "and", std::move(left), std::move(right));
    }
    return left;
  }

  Result<NodePtr> negation() {
    const Depth depth(depth_);
    if (depth_ > kMaxDepth) return wrong("it nests too deeply");
    if (!is_name("not")) return comparison();
    next();
    PHIAL_TRY(NodePtr operand, negation());
    return make(NodeKind::kUnary, "not", std::move(operand));
  }

  Result<NodePtr> comparison() {
    PHIAL_TRY(NodePtr first, sum());
    NodePtr chain;
    for (;;) {
      std::string op;
      if (peek().kind == TokenKind::kOperator) {
        for (const std::string_view candidate : {"==", "!=", "<=", ">=", "<", ">"}) {
          if (peek().text == candidate) op = candidate;
        }
      }
      if (is_name("in")) op = "in";
      if (is_name("not") && is_name("in", 1)) {
        next();
        op = "not-in";
      }
      if (op.empty()) break;
      next();
      PHIAL_TRY(NodePtr operand, sum());
      if (!chain) {
        chain = make(NodeKind::kCompare, op, std::move(first));
      } else {
        chain->text += " " + op;
      }
      chain->children.push_back(std::move(operand));
    }
    return chain ? std::move(chain) : std::move(first);
  }

  Result<NodePtr> sum() {
    PHIAL_TRY(NodePtr left, concatenation());
    while (is_operator("+") || is_operator("-")) {
      std::string op = next().text;
      PHIAL_TRY(NodePtr right, concatenation());
      left = make(NodeKind::kBinary, std::move(op), std::move(left), std::move(right));
    }
    return left;
  }

  Result<NodePtr> concatenation() {
    PHIAL_TRY(NodePtr left, product());
    while (take_operator("~")) {
      PHIAL_TRY(NodePtr right, product());
      left = make(NodeKind::kBinary, "~", std::move(left), std::move(right));
    }
    return left;
  }

  Result<NodePtr> product() {
    PHIAL_TRY(NodePtr left, power());
    while (is_operator("*") || is_operator("/") || is_operator("//") || is_operator("%")) {
      std::string op = next().text;
      PHIAL_TRY(NodePtr right, power());
      left = make(NodeKind::kBinary, std::move(op), std::move(left), std::move(right));
    }
    return left;
  }

  Result<NodePtr> power() {
    PHIAL_TRY(NodePtr left, unary(true));
    while (take_operator("**")) {
      PHIAL_TRY(NodePtr right, unary(true));
      left = make(NodeKind::kBinary, "**", std::move(left), std::move(right));
    }
    return left;
  }

  Result<NodePtr> unary(bool with_filters) {
    const Depth depth(depth_);
    if (depth_ > kMaxDepth) return wrong("it nests too deeply");
    NodePtr value;
    if (is_operator("-") || is_operator("+")) {
      std::string op = next().text;
      PHIAL_TRY(NodePtr operand, unary(false));
      value = make(NodeKind::kUnary, std::move(op), std::move(operand));
    } else {
      PHIAL_TRY(value, primary());
    }
    PHIAL_TRY(value, postfix(std::move(value)));
    if (!with_filters) return value;
    return filters_and_tests(std::move(value));
  }

  Result<NodePtr> primary() {
    const Token token = peek();
    switch (token.kind) {
      case TokenKind::kName:
        return name_or_constant();
      case TokenKind::kString: {
        NodePtr node = make(NodeKind::kString);
        while (peek().kind == TokenKind::kString) node->text += next().text;  // adjacent ones join
        return node;
      }
      case TokenKind::kInteger:
      case TokenKind::kFloat: {
        next();
        NodePtr node = make(token.kind == TokenKind::kInteger ? NodeKind::kInteger : NodeKind::kFloat);
        const char* end = token.text.data() + token.text.size();
        const auto [stop, code] = token.kind == TokenKind::kInteger
                                      ? std::from_chars(token.text.data(), end, node->integer)
                                      : std::from_chars(token.text.data(), end, node->number);
        if (code != std::errc() || stop != end) return wrong("the number " + token.text + " is too large");
        return node;
      }
      case TokenKind::kOperator:
        if (token.text == "(") return parenthesised();
        if (token.text == "[") return list();
        if (token.text == "{") return dict();
        break;
      default:
        break;
    }
    return wrong(token.text.empty() ? "an expression is missing" : "unexpected '" + token.text + "'");
  }

  Result<NodePtr> name_or_constant() {
    const std::string name = next().text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
      NodePtr node = make(NodeKind::kBool);
      node->integer = name[0] == 't' || name[0] == 'T' ? 1 : 0;
      return node;
    }
    if (name == "none" || name == "None") return make(NodeKind::kNone);
    NodePtr node = make(NodeKind::kName);
    node->text = name;
    return node;
  }

  Result<NodePtr> parenthesised() {
    next();
    if (take_operator(")")) return make(NodeKind::kTuple);
    PHIAL_TRY(NodePtr inner, tuple());
    PHIAL_CHECKED(want_operator(")"));
    return inner;
  }

  Result<NodePtr> list() {
    next();
    NodePtr node = make(NodeKind::kList);
    while (!is_operator("]")) {
      PHIAL_TRY(NodePtr item, expression());
      node->children.push_back(std::move(item));
      if (!take_operator(",")) break;
    }
    PHIAL_CHECKED(want_operator("]"));
    return node;
  }

  Result<NodePtr> dict() {
    next();
    NodePtr node = make(NodeKind::kDict);
    while (!is_operator("}")) {
      PHIAL_TRY(NodePtr key, expression());
      PHIAL_CHECKED(want_operator(":"));
      PHIAL_TRY(NodePtr value, expression());
      node->children.push_back(std::move(key));
      node->children.push_back(std::move(value));
      if (!take_operator(",")) break;
    }
    PHIAL_CHECKED(want_operator("}"));
    return node;
  }

  Result<NodePtr> postfix(NodePtr value) {
    for (;;) {
      if (take_operator(".")) {
        if (peek().kind != TokenKind::kName && peek().kind != TokenKind::kInteger) return wrong("a name is missing");
        value = make(NodeKind::kAttribute, next().text, std::move(value));
      } else if (take_operator("[")) {
        PHIAL_TRY(value, subscript(std::move(value)));
      } else if (is_operator("(")) {
        NodePtr call = make(NodeKind::kCall, "", std::move(value));
        PHIAL_CHECKED(arguments(*call));
        value = std::move(call);
      } else {
        return value;
      }
    }
  }

  Result<NodePtr> subscript(NodePtr value) {
    NodePtr parts[3];
    int part = 0;
    bool sliced = false;
    while (!is_operator("]")) {
      if (take_operator(":")) {
        sliced = true;
        if (++part > 2) return wrong("a slice has at most three parts");
        continue;
      }
      if (parts[part]) return wrong("']' is missing");
      PHIAL_TRY(parts[part], expression());
    }
    next();
    if (!sliced) {
      if (!parts[0]) return wrong("an index is missing");
      return make(NodeKind::kIndex, "", std::move(value), std::move(parts[0]));
    }
    NodePtr node = make(NodeKind::kSlice, "", std::move(value));
    for (NodePtr& p : parts) node->children.push_back(std::move(p));
    return node;
  }

  Status arguments(Node& call) {
    PHIAL_CHECKED(want_operator("("));
    while (!is_operator(")")) {
      if (peek().kind == TokenKind::kName && is_operator("=", 1)) {
        call.names.push_back(next().text);
        next();
      } else if (!call.names.empty()) {
        return wrong("an argument without a name follows one with it");
      }
      PHIAL_TRY(NodePtr value, expression());
      call.children.push_back(std::move(value));
      if (!take_operator(",")) break;
    }
    return want_operator(")");
  }

  Result<NodePtr> filters_and_tests(NodePtr value) {
    for (;;) {
      if (take_operator("|")) {
        PHIAL_TRY(std::string name, want_name());
        value = make(NodeKind::kFilter, std::move(name), std::move(value));
        if (is_operator("(")) {
          PHIAL_CHECKED(arguments(*value));
        }
      } else if (take_name("is")) {
        const bool negated = take_name("not");
        PHIAL_TRY(std::string name, want_name());
        value = make(NodeKind::kTest, std::move(name), std::move(value));
        PHIAL_CHECKED(test_argument(*value));
        if (negated) value = make(NodeKind::kUnary, "not", std::move(value));
      } else if (is_operator("(")) {
        NodePtr call = make(NodeKind::kCall, "", std::move(value));
        PHIAL_CHECKED(arguments(*call));
        value = std::move(call);
      } else {
        return value;
      }
    }
  }

  // x is divisibleby(3), x is divisibleby 3
  Status test_argument(Node& test) {
    if (is_operator("(")) return arguments(test);
    const TokenKind kind = peek().kind;
    const bool value_follows = kind == TokenKind::kString || kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
                               is_operator("[") || is_operator("{") ||
                               (kind == TokenKind::kName && !is_name("else") && !is_name("or") && !is_name("and") &&
                                !is_name("is") && !is_name("if") && !is_name("in") && !is_name("not"));
    if (!value_follows) return ok();
    PHIAL_TRY(NodePtr value, primary());
    PHIAL_TRY(value, postfix(std::move(value)));
    test.children.push_back(std::move(value));
    return ok();
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<std::unique_ptr<Node>> parse(std::string_view source) {
  PHIAL_TRY(std::vector<Token> tokens, tokenize(source));
  if (tokens.size() > kMaxTokens) {
    return Error{Code::kOutOfRange,
                 "the chat template has " + std::to_string(tokens.size()) + " tokens, " + std::to_string(kMaxTokens) +
                     " are allowed",
                 ""};
  }
  return Parser(std::move(tokens)).run();
}

}  // namespace phial::generate::jinja
