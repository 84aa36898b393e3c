#include "phial/tokenizer/side_files.h"

#include <algorithm>
#include <charconv>

namespace phial::tokenizer {
namespace {

// "bos_token": "<s>" or {"content": "<s>", ...}.
const std::string* role_text(const Json& config, std::string_view role) {
  const Json* member = find_member(config, role);
  if (member == nullptr) return nullptr;
  if (const auto* text = member->get_ptr<const std::string*>()) return text;
  return find_string(*member, "content");
}

std::optional<TokenId> role_id(const Vocabulary& vocabulary, const SideFiles& side, std::string_view role) {
  for (const Json* config : {&side.tokenizer_config, &side.special_tokens}) {
    const std::string* text = role_text(*config, role);
    if (text == nullptr) continue;
    for (const AddedToken& a : vocabulary.added) {
      if (a.token.text == *text) return a.token.id;
    }
    if (const auto id = vocabulary.find(*text)) return id;
  }
  return std::nullopt;
}

void add_end(Vocabulary& vocabulary, const std::optional<int64_t>& id) {
  auto& ends = vocabulary.end_of_text;
  if (!id || !vocabulary.has(*id)) return;
  const auto end = static_cast<TokenId>(*id);
  if (std::find(ends.begin(), ends.end(), end) == ends.end()) ends.push_back(end);
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

bool is_plain_text(std::string_view text) { return text.find_first_of("<>[]{}|") == std::string_view::npos; }

Result<AddedToken> read_added_token(const Json& entry, std::optional<int64_t> id) {
  if (!id) id = find_int(entry, "id");
  const std::string* text = find_string(entry, "content");
  if (!id || *id < 0 || static_cast<uint64_t>(*id) >= kMostTokens || text == nullptr || text->empty()) {
    return Error{Code::kCorrupt,
                 "the added token " + dump_json(entry).substr(0, 120) + " wants a text and an id from 0 to " +
                     std::to_string(kMostTokens - 1),
                 "get the tokenizer again"};
  }
  AddedToken added;
  added.token.text = *text;
  added.token.id = static_cast<TokenId>(*id);
  added.token.lstrip = find_bool(entry, "lstrip").value_or(false);
  added.token.rstrip = find_bool(entry, "rstrip").value_or(false);
  added.token.is_control = find_bool(entry, "special").value_or(false);
  added.single_word = find_bool(entry, "single_word").value_or(false);
  added.is_plain = !added.token.is_control && is_plain_text(*text);
  return added;
}

Status add_token(Vocabulary& vocabulary, AddedToken added) {
  const auto at = static_cast<size_t>(added.token.id);
  // A vocabulary is dense but for a few padding rows; an id far behind its end would only take memory.
  if (at > vocabulary.pieces.size() + 65'536) {
    return Error{Code::kCorrupt,
                 "the added token '" + added.token.text.substr(0, 80) + "' has id " + std::to_string(at) +
                     ", the vocabulary ends at " + std::to_string(vocabulary.pieces.size()),
                 "get the tokenizer again"};
  }
  if (at >= vocabulary.pieces.size()) {
    vocabulary.pieces.resize(at + 1);
    vocabulary.kinds.resize(at + 1, TokenKind::kUnused);
  }
  vocabulary.pieces[at] = added.token.text;
  vocabulary.kinds[at] = added.token.is_control ? TokenKind::kControl : TokenKind::kUserDefined;
  for (AddedToken& known : vocabulary.added) {
    if (known.token.id != added.token.id) continue;
    known = std::move(added);
    return ok();
  }
  vocabulary.added.push_back(std::move(added));
  return ok();
}

Status add_side_tokens(Vocabulary& vocabulary, const SideFiles& side, bool* with_attributes) {
  if (side.added_tokens.is_object()) {
    std::vector<AddedToken> tokens;
    for (const auto& [text, id] : side.added_tokens.items()) {
      const Json entry = {{"id", id}, {"content", text}, {"special", true}};
      PHIAL_TRY(AddedToken added, read_added_token(entry, std::nullopt));
      tokens.push_back(std::move(added));
    }
    std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.token.id < b.token.id; });
    for (AddedToken& added : tokens) PHIAL_CHECKED(add_token(vocabulary, std::move(added)));
  }
  const Json* decoder = find_member(side.tokenizer_config, "added_tokens_decoder");
  if (decoder == nullptr || !decoder->is_object()) return ok();
  std::vector<AddedToken> tokens;
  for (const auto& [key, entry] : decoder->items()) {
    PHIAL_TRY(AddedToken added, read_added_token(entry, whole_number(key).value_or(-1)));
    tokens.push_back(std::move(added));
  }
  std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.token.id < b.token.id; });
  for (AddedToken& added : tokens) PHIAL_CHECKED(add_token(vocabulary, std::move(added)));
  *with_attributes = !tokens.empty();
  return ok();
}

void apply_roles(Vocabulary& vocabulary, const SideFiles& side, std::string_view bos_role, std::string_view end_role) {
  if (const auto id = role_id(vocabulary, side, bos_role)) vocabulary.bos = id;
  if (const auto id = role_id(vocabulary, side, end_role))
    vocabulary.end_of_text.insert(vocabulary.end_of_text.begin(), *id);
  auto& ends = vocabulary.end_of_text;
  for (size_t i = 1; i < ends.size();) {
    if (std::find(ends.begin(), ends.begin() + static_cast<ptrdiff_t>(i), ends[i]) ==
        ends.begin() + static_cast<ptrdiff_t>(i)) {
      ++i;
    } else {
      ends.erase(ends.begin() + static_cast<ptrdiff_t>(i));
    }
  }
  if (const Json* eos = find_member(side.generation_config, "eos_token_id")) {
    if (eos->is_array()) {
      for (const Json& id : *eos)
        add_end(vocabulary, id.is_number_integer() ? std::optional(id.get<int64_t>()) : std::nullopt);
    } else {
      add_end(vocabulary, find_int(side.generation_config, "eos_token_id"));
    }
  }
  if (const auto adds = find_bool(side.tokenizer_config, "add_bos_token")) vocabulary.adds_bos = *adds;
  if (!vocabulary.bos) vocabulary.adds_bos = false;
}

}  // namespace phial::tokenizer
