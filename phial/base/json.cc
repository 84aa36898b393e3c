#include "phial/base/json.h"

#include <cmath>
#include <set>
#include <vector>

#include "phial/base/utf8.h"

namespace phial {
namespace {

constexpr int kMaxDepth = 100;

// The parser recurses in nobody's stack but our destructor does, so nesting is bounded before a tree is built.
bool nests_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// Tells where the text stops being JSON; used only after a parse has failed.
class FirstError : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t at, const std::string&, const nlohmann::detail::exception&) override {
    position = at;
    return false;
  }

  size_t position = 0;
};

// Watches a parse for a key that its object already has.
class RepeatedKeyFinder {
 public:
  bool operator()(Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event == Event::key && !found_) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys_.back().insert(key).second) found_ = key;
    }
    return true;
  }
  const std::optional<std::string>& found() const { return found_; }

 private:
  std::vector<std::set<std::string>> keys_;  // one set an open object
  std::optional<std::string> found_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, RepeatedKeys repeated) {
  if (nests_too_deep(text)) {
    return Error{Code::kCorrupt, "JSON nests deeper than " + std::to_string(kMaxDepth) + " levels",
                 "the file is damaged: get it again"};
  }
  Json value;
  if (repeated == RepeatedKeys::kRefused) {
    RepeatedKeyFinder finder;
    value = Json::parse(
        text.begin(), text.end(),
        [&](int, Json::parse_event_t event, const Json& parsed) { return finder(event, parsed); },
        /*allow_exceptions=*/false);
    if (finder.found())
      return Error{Code::kCorrupt, "JSON key '" + printable(*finder.found()) + "' is given twice", ""};
  } else {
    value = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  }
  if (value.is_discarded()) {
    FirstError handler;
    Json::sax_parse(text.begin(), text.end(), &handler);
    return Error{Code::kCorrupt, "malformed JSON at byte " + std::to_string(handler.position),
                 "the file is damaged: get it again"};
  }
  return value;
}

std::string dump_json(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

const Json* find_member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

std::optional<int64_t> find_int(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  if (member == nullptr) return std::nullopt;
  if (member->is_number_unsigned()) {
    const auto value = member->get<uint64_t>();
    if (value > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<int64_t>(value);
  }
  if (member->is_number_integer()) return member->get<int64_t>();
  if (member->is_number_float()) {  // some writers spell sizes 4096.0
    const double value = member->get<double>();
    if (value == std::floor(value) && std::fabs(value) < 9e15) return static_cast<int64_t>(value);
  }
  return std::nullopt;
}

std::optional<double> find_number(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  if (member == nullptr || !member->is_number()) return std::nullopt;
  return member->get<double>();
}

std::optional<bool> find_bool(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  if (member == nullptr || !member->is_boolean()) return std::nullopt;
  return member->get<bool>();
}

const std::string* find_string(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  return member == nullptr ? nullptr : member->get_ptr<const std::string*>();
}

}  // namespace phial
