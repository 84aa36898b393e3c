// A template's tokens as a tree.
//
// What chat templates use of Jinja 3: for (with else, filter, tuple targets), if, set (also of attributes and blocks),
// macro, break, continue, generation; the whole expression grammar. kUnsupported names any other tag.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"

namespace phial::generate::jinja {

enum class NodeKind {
  // statements
  kBody,      // children in order
  kData,      // text
  kOutput,    // {{ children[0] }}
  kIf,        // children: condition, then, else (may be null)
  kFor,       // names; children: iterable, filter (may be null), body, else (may be null)
  kSet,       // children: target, value; target is kName, kAttribute or kTuple of kName
  kSetBlock,  // children: target, body
  kMacro,     // text, names, children: body, then the defaults of the last parameters
  kBreak,
  kContinue,
  // expressions
  kString,   // text
  kInteger,  // integer
  kFloat,    // number
  kBool,     // integer
  kNone,
  kName,       // text
  kList,       // children
  kTuple,      // children
  kDict,       // children: key, value, key, value, ...
  kAttribute,  // children[0].text
  kIndex,      // children[0][children[1]]
  kSlice,      // children[0][start:stop:step], absent ones null
  kCall,       // children: callee, arguments; names: of the keyword arguments, which come last
  kFilter,     // text; children: value, arguments; names as in kCall
  kTest,       // text; children: value, arguments
  kUnary,      // text: "not", "-", "+"
  kBinary,     // text: the operator, "and", "or", "in", "not in"
  kCompare,    // text: operators separated by a space; children: operands of the chain
  kTernary,    // children: condition, then, else (may be null)
};

struct Node {
  NodeKind kind = NodeKind::kBody;
  int line = 1;
  std::string text;
  int64_t integer = 0;
  double number = 0;
  std::vector<std::string> names;
  std::vector<std::unique_ptr<Node>> children;
};

Result<std::unique_ptr<Node>> parse(std::string_view source);

}  // namespace phial::generate::jinja
