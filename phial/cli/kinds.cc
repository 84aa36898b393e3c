#include "phial/cli/kinds.h"

#include <algorithm>

#include "phial/cli/flags.h"

namespace phial::cli {
namespace {

std::string listed(std::span<const std::string_view> known) {
  std::string list;
  for (const std::string_view name : known) list.append(list.empty() ? "" : ", ").append(name);
  return list;
}

}  // namespace

std::string kinds_help(std::span<const std::string_view> known) { return "all, or some of: " + listed(known); }

Status read_kinds(const std::string& text, std::span<const std::string_view> known, std::vector<std::string>& into) {
  into.clear();
  if (text == "all") {
    into.assign(known.begin(), known.end());
    return ok();
  }
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string name = text.substr(begin, end - begin);
    begin = end + 1;
    if (std::ranges::find(known, name) == known.end()) {
      const auto meant = nearest(name, std::vector<std::string>(known.begin(), known.end()));
      return Error{Code::kInvalid, "there is no kind '" + name + "' (--kind)",
                   meant ? "did you mean '" + *meant + "'?" : "give all, or some of " + listed(known)};
    }
    into.push_back(name);
  }
  return ok();
}

}  // namespace phial::cli
