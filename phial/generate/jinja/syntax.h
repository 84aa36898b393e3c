// The parsed form of a chat template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "phial/generate/jinja/value.h"

namespace phial::generate::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  enum class Kind {
    kLiteral,      // value
    kName,         // name
    kList,         // arguments
    kTuple,        // arguments
    kDict,         // arguments: key, value, key, value, ...
    kAttribute,    // arguments[0] . name
    kItem,         // arguments[0] [ arguments[1] ]
    kSlice,        // arguments[0] [ start : stop : step ], null where left out
    kCall,         // arguments[0] ( rest, named )
    kFilter,       // arguments[0] | name ( rest, named ); null: the text that a block has written
    kTest,         // arguments[0] is name ( rest )
    kUnary,        // name: "-", "+", "not"
    kBinary,       // name: the operator
    kConcat,       // arguments ~
    kAnd,          // arguments
    kOr,           // arguments
    kCompare,      // arguments[0] operators[0] arguments[1] ...
    kConditional,  // arguments[0] if arguments[1] else arguments[2] (may be null)
  };
  Kind kind = Kind::kLiteral;
  std::string name;
  Value value;
  std::vector<ExpressionPtr> arguments;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  std::vector<std::string> operators;
  int line = 1;
  int depth = 1;  // of the tree below
};

struct Statement {
  enum class Kind {
    kData,      // value
    kOutput,    // expression
    kIf,        // conditions[i] ? bodies[i]; one body more is the else
    kFor,       // targets in expression, if condition (may be null); bodies[0], else bodies[1]
    kSet,       // targets = expression; namespace_field: of targets[0]
    kSetBlock,  // targets[0] = bodies[0], through the filters of expression (may be null)
    kFilter,    // bodies[0] through expression
    kMacro,     // name, targets are its parameters, conditions their defaults (may be null), bodies[0]
    kGroup,     // bodies[0]
    kBreak,
    kContinue,
  };
  Kind kind = Kind::kData;
  std::string name;
  std::string namespace_field;
  Value value;
  std::vector<std::string> targets;
  ExpressionPtr expression;
  ExpressionPtr condition;
  std::vector<ExpressionPtr> conditions;
  std::vector<std::vector<Statement>> bodies;
  int line = 1;
};

}  // namespace phial::generate::jinja
