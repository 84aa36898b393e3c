#include "phial/generate/jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/generate/jinja/expression_parser.h"

namespace phial::generate::jinja {
namespace {

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Result<std::vector<Statement>> run() {
    PHIAL_TRY(auto statements, body({}));
    if (current().type != TokenType::kEnd) return wrong("unexpected " + describe());
    return statements;
  }

 private:
  Result<std::vector<Statement>> body(std::initializer_list<std::string_view> ends) {
    const Nesting nesting(depth_);
    if (depth_ > kDeepestNesting) return wrong("blocks are nested too deeply");
    std::vector<Statement> statements;
    while (current().type != TokenType::kEnd) {
      Statement statement;
      statement.line = current().line;
      if (current().type == TokenType::kData) {
        statement.value = Value::own_text(current().text);
        advance();
      } else if (current().type == TokenType::kVariableBegin) {
        advance();
        statement.kind = Statement::Kind::kOutput;
        PHIAL_TRY(statement.expression, tuple(true, false));
        PHIAL_CHECKED(expect_type(TokenType::kVariableEnd, "'}}'"));
      } else {
        PHIAL_CHECKED(expect_type(TokenType::kBlockBegin, "a tag"));
        if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return is_name(end); })) {
          return statements;
        }
        PHIAL_CHECKED(block(statement));
        PHIAL_CHECKED(block_end());
      }
      statements.push_back(std::move(statement));
    }
    if (ends.size() > 0)
      return wrong("expected {% " + std::string(*ends.begin()) + " %}, found the end of the template");
    return statements;
  }
  Status block_end() { return expect_type(TokenType::kBlockEnd, "'%}'"); }

  Status block(Statement& to) {
    PHIAL_TRY(const std::string name, expect_name());
    if (name == "if") return if_block(to);
    if (name == "for") return for_block(to);
    if (name == "set") return set_block(to);
    if (name == "macro") return macro_block(to);
    if (name == "filter") return filter_block(to);
    if (name == "generation") {
      to.kind = Statement::Kind::kGroup;
      return bodies_until(to, "endgeneration");
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) return wrong("{% " + name + " %} stands outside of a loop");
      to.kind = name == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue;
      return ok();
    }
    return wrong("the tag '" + printable(name) + "' is not supported", Code::kUnsupported);
  }

  // One body, up to the name of its end tag.
  Status bodies_until(Statement& to, std::string_view end) {
    PHIAL_CHECKED(block_end());
    PHIAL_TRY(auto statements, body({end}));
    to.bodies.push_back(std::move(statements));
    advance();
    return ok();
  }

  Status if_block(Statement& to) {
    to.kind = Statement::Kind::kIf;
    for (;;) {
      PHIAL_TRY(Node condition, tuple(false, false));
      to.conditions.push_back(std::move(condition));
      PHIAL_CHECKED(block_end());
      PHIAL_TRY(auto statements, body({"endif", "elif", "else"}));
      to.bodies.push_back(std::move(statements));
      if (!skip_name("elif")) break;
    }
    if (skip_name("else")) return bodies_until(to, "endif");
    advance();
    return ok();
  }

  Status targets(Statement& to) {
    const bool in_brackets = skip("(");
    for (;;) {
      PHIAL_TRY(std::string name, expect_name());
      to.targets.push_back(std::move(name));
      if (!skip(",")) break;
    }
    return in_brackets ? expect(")") : ok();
  }

  Status for_block(Statement& to) {
    to.kind = Statement::Kind::kFor;
    PHIAL_CHECKED(targets(to));
    if (!skip_name("in")) return wrong("expected 'in', found " + describe());
    PHIAL_TRY(to.expression, tuple(false, false));
    if (skip_name("if")) {
      PHIAL_TRY(to.condition, expression());
    }
    if (is_name("recursive")) return wrong("recursive loops are not supported", Code::kUnsupported);
    PHIAL_CHECKED(block_end());
    ++loops_;
    auto statements = body({"endfor", "else"});
    --loops_;
    if (!statements) return std::move(statements).error();
    to.bodies.push_back(*std::move(statements));
    if (skip_name("else")) return bodies_until(to, "endfor");
    advance();
    return ok();
  }

  Status set_block(Statement& to) {
    to.kind = Statement::Kind::kSet;
    PHIAL_CHECKED(targets(to));
    if (to.targets.size() == 1 && skip(".")) {
      PHIAL_TRY(to.namespace_field, expect_name());
    }
    if (skip("=")) {
      PHIAL_TRY(to.expression, tuple(true, false));
      return ok();
    }
    if (to.targets.size() > 1) return wrong("expected '=', found " + describe());
    to.kind = Statement::Kind::kSetBlock;
    Node node;
    while (is("|")) {
      PHIAL_TRY(node, filter(std::move(node)));
    }
    to.expression = std::move(node);
    return bodies_until(to, "endset");
  }

  Status filter_block(Statement& to) {
    to.kind = Statement::Kind::kFilter;
    PHIAL_TRY(Node node, named_filter(nullptr));
    while (is("|")) {
      PHIAL_TRY(node, filter(std::move(node)));
    }
    to.expression = std::move(node);
    return bodies_until(to, "endfilter");
  }

  Status macro_block(Statement& to) {
    to.kind = Statement::Kind::kMacro;
    PHIAL_TRY(to.name, expect_name());
    PHIAL_CHECKED(expect("("));
    while (!is(")")) {
      PHIAL_TRY(std::string parameter, expect_name());
      to.targets.push_back(std::move(parameter));
      Node standard;
      if (skip("=")) {
        PHIAL_TRY(standard, expression());
      }
      to.conditions.push_back(std::move(standard));
      if (!skip(",")) break;
    }
    PHIAL_CHECKED(expect(")"));
    const int loops = std::exchange(loops_, 0);
    const Status status = bodies_until(to, "endmacro");
    loops_ = loops;
    return status;
  }

  int loops_ = 0;  // that enclose this place
};

}  // namespace

Result<std::vector<Statement>> parse(std::string_view source) {
  PHIAL_TRY(auto tokens, tokenize(source));
  return Parser(std::move(tokens)).run();
}

}  // namespace phial::generate::jinja
