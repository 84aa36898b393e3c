// A cage for this process: after enter_cage() it can compute, write to what it already has open, and end. There is no
// way out of it.
//
// Three walls, each of which holds without the others:
//   limits    memory, CPU time, files of no length, few open files, no core dump;
//   seccomp   a list of allowed system calls: no sockets, no programs, no processes, no signals to others, nothing
//   opened
//             for writing, nothing created, renamed or removed;
//   Landlock  files may be opened for reading beneath the named folders only. On kernels without it nothing may be
//             opened at all.
// Where the kernel refuses seccomp (some containers, emulators) the limits and Landlock still hold; the report says so.
// Threads: call it while the process has one. Memory: none kept.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/result.h"

namespace phial::sandbox {

struct CageLimits {
  uint64_t memory_bytes = uint64_t{1} << 30;  // of address space; not held under the address sanitizer
  int cpu_seconds = 60;                       // then the kernel ends the process (SIGXCPU)
  std::vector<std::string> readable;          // folders; those that do not exist are passed over
};

struct CageReport {
  bool filtered = false;  // seccomp holds
  bool may_read = false;  // Landlock holds, so that the readable folders are open
  std::string warning;    // one line, empty if every wall stands
};

// kIo if a limit cannot be set.
Result<CageReport> enter_cage(const CageLimits& limits);

}  // namespace phial::sandbox
