// What the files of this room share: a descriptor that closes itself, and what the system says when a call fails.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <utility>

#include "phial/base/result.h"

namespace phial {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// Right after a call that failed: the reason in words, with the remedy where there is one. `act`: "open", "write".
Error system_error(const std::filesystem::path& path, const char* act);

}  // namespace phial
