// Small questions about Gumbo's tree, and tables out of it.
#pragma once

#include <gumbo.h>

#include <functional>
#include <string>

namespace phial::documents {

bool is_element(const GumboNode& node);
bool is_text(const GumboNode& node);
bool never_shown(GumboTag tag);
bool starts_block(GumboTag tag);

// Whether the element is, or holds, or stands in a link.
bool is_linked(const GumboNode& element);

// All text beneath `node`, one line.
std::string plain_text(const GumboNode& node);

// The rows of a table of data, cells joined by " | ", one line a row; empty if the table only lays out a page: one
// column, or cells that hold headings, lists, code, tables or long text.
std::string table_text(const GumboNode& table, const std::function<bool(const GumboNode&)>& is_shown);

}  // namespace phial::documents
