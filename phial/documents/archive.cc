#include "phial/documents/archive.h"

#include <zip.h>

#include <algorithm>
#include <array>
#include <vector>

namespace phial::documents {
namespace {

constexpr int64_t kMostMembers = 20'000;
constexpr uint64_t kMostMemberBytes = uint64_t{64} << 20;
constexpr uint64_t kMostBytes = uint64_t{256} << 20;

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::string percent_decoded(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      result.push_back(static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2])));
      i += 2;
    } else {
      result.push_back(text[i]);
    }
  }
  return result;
}

Error bomb(const std::string& name) {
  return {Code::kOutOfRange,
          "'" + name + "' unpacks to more than the " + std::to_string(kMostMemberBytes >> 20) + " MiB a member, or " +
              std::to_string(kMostBytes >> 20) + " in all, that are read",
          "split the document; if it is a small file, it is hostile"};
}

}  // namespace

Result<Archive> Archive::open(std::string_view bytes) {
  zip_error_t problem;
  zip_error_init(&problem);
  zip_source_t* const source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &problem);
  zip_t* const handle = source == nullptr ? nullptr : zip_open_from_source(source, ZIP_RDONLY, &problem);
  if (handle == nullptr) {
    if (source != nullptr) zip_source_free(source);
    zip_error_fini(&problem);
    return Error{Code::kCorrupt, "the file's zip archive is damaged or cut short", "get it again"};
  }
  zip_error_fini(&problem);
  Archive archive(handle);
  if (zip_get_num_entries(handle, 0) > kMostMembers) {
    return Error{Code::kOutOfRange, "the file's zip archive has more than " + std::to_string(kMostMembers) + " members",
                 "it is no document that a program wrote"};
  }
  return archive;
}

Archive::Archive(Archive&& other) noexcept : handle_(other.handle_), unpacked_bytes_(other.unpacked_bytes_) {
  other.handle_ = nullptr;
}

Archive::~Archive() {
  if (handle_ != nullptr) zip_discard(handle_);
}

bool Archive::has(const std::string& name) const { return zip_name_locate(handle_, name.c_str(), 0) >= 0; }

std::vector<std::string> Archive::names() const {
  std::vector<std::string> names;
  const zip_int64_t count = zip_get_num_entries(handle_, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    if (const char* name = zip_get_name(handle_, static_cast<zip_uint64_t>(i), 0)) names.emplace_back(name);
  }
  return names;
}

Result<std::string> Archive::read(const std::string& name) {
  const zip_int64_t index = zip_name_locate(handle_, name.c_str(), 0);
  zip_stat_t about;
  zip_stat_init(&about);
  if (index < 0 || zip_stat_index(handle_, static_cast<zip_uint64_t>(index), 0, &about) != 0) {
    return Error{Code::kNotFound, "the file has no part '" + name + "'", "it may be damaged: save it again"};
  }
  if ((about.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && about.encryption_method != ZIP_EM_NONE) {
    return Error{Code::kUnsupported, "the file is protected by a password", "save a copy without the password"};
  }
  zip_file_t* const member = zip_fopen_index(handle_, static_cast<zip_uint64_t>(index), 0);
  if (member == nullptr) {
    return Error{Code::kCorrupt, "the file's part '" + name + "' cannot be unpacked", "get it again"};
  }
  // What the archive says of sizes is not believed: unpacking stops where the limit is.
  std::string content;
  std::vector<char> buffer(1 << 16);
  zip_int64_t got = 0;
  while ((got = zip_fread(member, buffer.data(), buffer.size())) > 0) {
    content.append(buffer.data(), static_cast<size_t>(got));
    unpacked_bytes_ += static_cast<uint64_t>(got);
    if (content.size() > kMostMemberBytes || unpacked_bytes_ > kMostBytes) break;
  }
  zip_fclose(member);
  if (content.size() > kMostMemberBytes || unpacked_bytes_ > kMostBytes) return bomb(name);
  if (got < 0) return Error{Code::kCorrupt, "the file's part '" + name + "' is damaged", "get it again"};
  return content;
}

std::string resolve_reference(std::string_view from, std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  const std::string path = percent_decoded(reference);
  std::vector<std::string> parts;
  const auto walk = [&parts](std::string_view folders) {
    while (!folders.empty()) {
      const size_t slash = folders.find('/');
      const std::string_view part = folders.substr(0, slash);
      if (part == "..") {
        if (parts.empty()) return false;
        parts.pop_back();
      } else if (!part.empty() && part != ".") {
        parts.emplace_back(part);
      }
      folders = slash == std::string_view::npos ? std::string_view() : folders.substr(slash + 1);
    }
    return true;
  };
  const size_t folder = from.rfind('/');
  if (!path.starts_with("/") && folder != std::string_view::npos) walk(from.substr(0, folder));
  if (path.empty() || !walk(path)) return {};
  std::string resolved;
  for (const std::string& part : parts) resolved.append(resolved.empty() ? "" : "/").append(part);
  return resolved;
}

}  // namespace phial::documents
