#include "phial/documents/charset.h"

#include <iconv.h>
#include <uchardet/uchardet.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>

#include "phial/base/utf8.h"

namespace phial::documents {
namespace {

// What uchardet may answer and web pages declare, in the names that iconv knows.
constexpr std::array kCharsets = {
    "SHIFT_JIS",    "CP932",        "EUC-JP",       "ISO-2022-JP",  "GB18030",      "BIG5",         "EUC-KR",
    "UHC",          "ISO-2022-KR",  "EUC-TW",       "KOI8-R",       "WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252",
    "WINDOWS-1253", "WINDOWS-1254", "WINDOWS-1255", "WINDOWS-1256", "WINDOWS-1257", "WINDOWS-1258", "ISO-8859-1",
    "ISO-8859-2",   "ISO-8859-3",   "ISO-8859-4",   "ISO-8859-5",   "ISO-8859-6",   "ISO-8859-7",   "ISO-8859-8",
    "ISO-8859-9",   "ISO-8859-10",  "ISO-8859-11",  "ISO-8859-13",  "ISO-8859-15",  "ISO-8859-16",  "TIS-620",
    "IBM855",       "IBM866",       "MACINTOSH",    "MAC-CYRILLIC", "UTF-16LE",     "UTF-16BE",     "UTF-32LE",
    "UTF-32BE"};

constexpr size_t kSample = 256 << 10;  // as much as a guess looks at

// What iconv_open() gives for a charset it does not know.
bool is_none(iconv_t converter) { return std::bit_cast<intptr_t>(converter) == -1; }

class Converter {
 public:
  explicit Converter(const std::string& charset) : handle_(iconv_open("UTF-8", charset.c_str())) {}
  ~Converter() {
    if (known()) iconv_close(handle_);
  }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;

  bool known() const { return !is_none(handle_); }

  std::string convert(std::string_view bytes, size_t unit) {
    std::string out;
    std::array<char, 1 << 14> buffer;
    char* in = const_cast<char*>(bytes.data());  // iconv's signature; it does not write here
    size_t left = bytes.size();
    while (left > 0) {
      char* to = buffer.data();
      size_t room = buffer.size();
      const size_t done = iconv(handle_, &in, &left, &to, &room);
      out.append(buffer.data(), buffer.size() - room);
      if (done != static_cast<size_t>(-1) || errno == E2BIG) continue;
      append_utf8(out, kReplacement);
      if (errno == EINVAL || left < unit) break;  // cut off inside a character
      in += unit;
      left -= unit;
    }
    return repair_utf8(out);
  }

 private:
  iconv_t handle_;
};

std::string upper(std::string_view name) {
  std::string result(name);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return result;
}

// Web pages say Latin-1, GB2312 and Shift_JIS and mean their supersets; browsers read them so.
std::string canonical(std::string_view name) {
  std::string charset = upper(name);
  if (charset == "ISO-8859-1" || charset == "LATIN1" || charset == "US-ASCII" || charset == "ASCII") {
    return "WINDOWS-1252";
  }
  if (charset == "GB2312" || charset == "GBK" || charset == "HZ-GB-2312") return "GB18030";
  if (charset == "SHIFT_JIS" || charset == "SHIFT-JIS" || charset == "SJIS") return "CP932";
  if (charset == "UTF8") return "UTF-8";
  return charset;
}

struct Mark {
  std::string_view bytes;
  const char* charset;
  size_t unit;
};
using namespace std::string_view_literals;
// UTF-32 first: its little-endian mark begins with that of UTF-16.
constexpr std::array<Mark, 5> kMarks = {{{"\xFF\xFE\0\0"sv, "UTF-32LE", 4},
                                         {"\0\0\xFE\xFF"sv, "UTF-32BE", 4},
                                         {"\xEF\xBB\xBF"sv, "UTF-8", 1},
                                         {"\xFF\xFE"sv, "UTF-16LE", 2},
                                         {"\xFE\xFF"sv, "UTF-16BE", 2}}};

// UTF-16 without a mark: in Western text every other byte is zero, and the others hardly ever.
const char* unmarked_utf16(std::string_view sample) {
  if (sample.size() < 8) return nullptr;
  std::array<size_t, 2> zeros = {};
  for (size_t i = 0; i < sample.size(); ++i) zeros[i % 2] += sample[i] == '\0' ? 1 : 0;
  const size_t half = sample.size() / 2;
  if (zeros[1] > half * 6 / 10 && zeros[0] <= half / 50) return "UTF-16LE";
  if (zeros[0] > half * 6 / 10 && zeros[1] <= half / 50) return "UTF-16BE";
  return nullptr;
}

// How many of the sample's UTF-16 units are spaces or punctuation that text of any script has; 0 if the sample holds
// what no text does: surrogates without partner, controls, unassigned and private characters.
size_t marks_of_utf16(std::string_view sample, bool little) {
  size_t marks = 0;
  char32_t high = 0;
  for (size_t i = 0; i + 1 < sample.size(); i += 2) {
    const auto first = static_cast<unsigned char>(sample[i]), second = static_cast<unsigned char>(sample[i + 1]);
    char32_t c = little ? first | (second << 8U) : second | (first << 8U);
    const bool is_low = c >= 0xDC00 && c < 0xE000;
    if (is_low != (high != 0)) return 0;
    if (c >= 0xD800 && c < 0xDC00) {
      high = c;
      continue;
    }
    if (is_low) c = 0x10000 + ((high - 0xD800) << 10U) + (c - 0xDC00);
    high = 0;
    const bool is_space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (is_space || c == 0x3001 || c == 0x3002) ++marks;
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    const bool unlikely =
        category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_CO || category == UTF8PROC_CATEGORY_CC;
    if (unlikely && !is_space) return 0;
  }
  return marks;
}

// UTF-16 without a mark in any other script: only one order of the bytes makes characters of it, with spaces between.
const char* unmarked_utf16_of_any_script(std::string_view sample) {
  constexpr size_t kCharactersPerMark = 200;
  const std::string_view whole = sample.substr(0, sample.size() & ~size_t{1});
  if (whole.size() < 16 || whole.find('\0') == std::string_view::npos) return nullptr;
  const size_t little = marks_of_utf16(whole, true), big = marks_of_utf16(whole, false);
  if (std::max(little, big) * 2 * kCharactersPerMark < whole.size()) return nullptr;
  return little >= big ? "UTF-16LE" : "UTF-16BE";
}

// A few zero bytes are a log's damage, many are another format's.
bool looks_binary(std::string_view sample) {
  size_t controls = 0;
  for (const char c : sample) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f' && byte != 0x1B) ++controls;
  }
  return controls * 50 > sample.size();
}

// Whether the rest of a file is the beginning of one UTF-8 character.
bool is_cut_off(std::string_view rest) {
  const auto goes_on = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; };
  return rest.size() < 4 && static_cast<unsigned char>(rest[0]) >= 0xC2 &&
         std::all_of(rest.begin() + 1, rest.end(), goes_on);
}

struct Utf8Share {
  size_t good = 0, bad = 0;  // characters beyond ASCII that are, and are not, well-formed
};
Utf8Share measure_utf8(std::string_view text) {
  Utf8Share share;
  for (size_t at = 0; at < text.size();) {
    const DecodedChar c = decode_utf8(text, at);
    if (!c.valid && share.good > 0 && is_cut_off(text.substr(at))) break;
    if (!c.valid) {
      ++share.bad;
    } else if (c.length > 1) {
      ++share.good;
    }
    at += static_cast<size_t>(c.length);
  }
  return share;
}

std::string guess(std::string_view sample) {
  const uchardet_t detector = uchardet_new();
  uchardet_handle_data(detector, sample.data(), sample.size());
  uchardet_data_end(detector);
  std::string charset = canonical(uchardet_get_charset(detector));
  uchardet_delete(detector);
  return charset.empty() || charset == "UTF-8" ? "WINDOWS-1252" : charset;
}

DecodedText convert(std::string_view bytes, const std::string& charset, size_t unit) {
  if (charset == "UTF-8") return {repair_utf8(bytes), charset};
  Converter converter(charset);
  if (!converter.known()) return {repair_utf8(bytes), "UTF-8"};
  return {converter.convert(bytes, unit), charset};
}

}  // namespace

Result<DecodedText> to_utf8(std::string_view bytes, std::string_view declared) {
  for (const Mark& mark : kMarks) {
    if (bytes.starts_with(mark.bytes)) return convert(bytes.substr(mark.bytes.size()), mark.charset, mark.unit);
  }
  if (const char* wide = unmarked_utf16(bytes.substr(0, kSample))) return convert(bytes, wide, 2);
  if (const char* wide = unmarked_utf16_of_any_script(bytes.substr(0, kSample))) return convert(bytes, wide, 2);
  bytes = bytes.substr(0, bytes.find_last_not_of('\0') + 1);  // files cut off by a crash end in zeros
  const std::string_view sample = bytes.substr(0, kSample);
  const Utf8Share utf8 = measure_utf8(bytes);
  const bool has_zeros = sample.find('\0') != std::string_view::npos;
  if (looks_binary(sample) || (has_zeros && utf8.bad > 0)) {
    return Error{Code::kUnsupported, "this is binary data, not text in any known encoding", "only documents are read"};
  }
  const bool shifts = sample.find("\x1B$") != std::string_view::npos && sample.find("\x1B(") != std::string_view::npos;
  if (shifts) return convert(bytes, "ISO-2022-JP", 1);
  // One damaged byte does not make a UTF-8 file Latin-1: text in other encodings has few sequences that are UTF-8.
  if (utf8.bad == 0 || utf8.good > 8 * utf8.bad) return DecodedText{repair_utf8(bytes), "UTF-8"};
  if (!declared.empty()) {
    const std::string charset = canonical(declared);
    if (charset != "UTF-8" && !charset.starts_with("UTF-16") && Converter(charset).known()) {
      return convert(bytes, charset, 1);
    }
  }
  return convert(bytes, guess(sample), 1);
}

LoadedCharsets::LoadedCharsets() {
  for (const char* name : kCharsets) {
    const iconv_t converter = iconv_open("UTF-8", name);
    if (!is_none(converter)) converters_.push_back(converter);
  }
}

LoadedCharsets::~LoadedCharsets() {
  for (void* converter : converters_) iconv_close(converter);
}

}  // namespace phial::documents
