#include "phial/sandbox/cage.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace phial::sandbox {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitsMemory = false;  // a sanitizer's shadow takes terabytes of address space
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kLimitsMemory = false;
#else
constexpr bool kLimitsMemory = true;
#endif
#else
constexpr bool kLimitsMemory = true;
#endif

Status limit(__rlimit_resource resource, uint64_t soft, uint64_t hard, const char* what) {
  const rlimit wanted{soft, hard};
  if (setrlimit(resource, &wanted) == 0) return ok();
  return Error{Code::kIo, std::string("cannot limit the reader's ") + what + ": " + std::strerror(errno),
               "check 'ulimit -a'"};
}

Status set_limits(const CageLimits& limits) {
  const auto seconds = static_cast<uint64_t>(limits.cpu_seconds);
  if (kLimitsMemory) PHIAL_CHECKED(limit(RLIMIT_AS, limits.memory_bytes, limits.memory_bytes, "memory"));
  PHIAL_CHECKED(limit(RLIMIT_CPU, seconds, seconds + 1, "CPU time"));
  PHIAL_CHECKED(limit(RLIMIT_FSIZE, 0, 0, "file size"));
  PHIAL_CHECKED(limit(RLIMIT_CORE, 0, 0, "core dumps"));
  return limit(RLIMIT_NOFILE, 64, 64, "open files");
}

// Lets files beneath `folders` be read, and no others. False where the kernel has no Landlock.
bool restrict_files(const std::vector<std::string>& folders) {
  landlock_ruleset_attr rights = {};
  rights.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
                             LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                             LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                             LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                             LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
  const int rules = static_cast<int>(syscall(SYS_landlock_create_ruleset, &rights, sizeof(rights), 0));
  if (rules < 0) return false;
  for (const std::string& folder : folders) {
    landlock_path_beneath_attr beneath = {};
    beneath.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    beneath.parent_fd = open(folder.c_str(), O_PATH | O_CLOEXEC);
    if (beneath.parent_fd < 0) continue;
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
    close(beneath.parent_fd);
  }
  const bool restricted = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
  close(rules);
  return restricted;
}

// What computing, and the C library beneath it, needs. Everything else fails with EPERM, so that a library which only
// probes goes on; starting a program or tracing one ends the process, since no reader has a reason to.
constexpr std::array kAllowed = {SCMP_SYS(read),
                                 SCMP_SYS(readv),
                                 SCMP_SYS(pread64),
                                 SCMP_SYS(write),
                                 SCMP_SYS(writev),
                                 SCMP_SYS(lseek),
                                 SCMP_SYS(close),
                                 SCMP_SYS(fstat),
                                 SCMP_SYS(stat),
                                 SCMP_SYS(lstat),
                                 SCMP_SYS(newfstatat),
                                 SCMP_SYS(statx),
                                 SCMP_SYS(access),
                                 SCMP_SYS(faccessat),
                                 SCMP_SYS(faccessat2),
                                 SCMP_SYS(getdents64),
                                 SCMP_SYS(readlink),
                                 SCMP_SYS(readlinkat),
                                 SCMP_SYS(getcwd),
                                 SCMP_SYS(statfs),
                                 SCMP_SYS(fstatfs),
                                 SCMP_SYS(fadvise64),
                                 SCMP_SYS(dup),
                                 SCMP_SYS(munmap),
                                 SCMP_SYS(mremap),
                                 SCMP_SYS(madvise),
                                 SCMP_SYS(brk),
                                 SCMP_SYS(futex),
                                 SCMP_SYS(rt_sigaction),
                                 SCMP_SYS(rt_sigprocmask),
                                 SCMP_SYS(rt_sigreturn),
                                 SCMP_SYS(sigaltstack),
                                 SCMP_SYS(exit),
                                 SCMP_SYS(exit_group),
                                 SCMP_SYS(clock_gettime),
                                 SCMP_SYS(clock_getres),
                                 SCMP_SYS(gettimeofday),
                                 SCMP_SYS(time),
                                 SCMP_SYS(getpid),
                                 SCMP_SYS(gettid),
                                 SCMP_SYS(getuid),
                                 SCMP_SYS(geteuid),
                                 SCMP_SYS(getgid),
                                 SCMP_SYS(getegid),
                                 SCMP_SYS(getrandom),
                                 SCMP_SYS(uname),
                                 SCMP_SYS(sysinfo),
                                 SCMP_SYS(sched_yield),
                                 SCMP_SYS(sched_getaffinity),
                                 SCMP_SYS(getrusage),
                                 SCMP_SYS(set_robust_list),
                                 SCMP_SYS(rseq),
                                 SCMP_SYS(restart_syscall),
                                 SCMP_SYS(poll),
                                 SCMP_SYS(ppoll)};

constexpr std::array kDeadly = {SCMP_SYS(execve),           SCMP_SYS(execveat),          SCMP_SYS(ptrace),
                                SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(bpf),
                                SCMP_SYS(userfaultfd)};

// Conditions on the arguments of a call, counted from 0.
constexpr scmp_arg_cmp without_bits(unsigned argument, uint64_t mask) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, 0};
}
constexpr scmp_arg_cmp equal_to(unsigned argument, uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }

// Opening for reading, where Landlock says what may be read. Every flag that could write or make a file is masked.
bool allow_reading(scmp_filter_ctx filter) {
  constexpr uint64_t kWrites = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);
  bool good = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, without_bits(2, kWrites)) == 0;
  // A machine whose C library calls open() at all is an old one; where the call does not exist the rule means nothing.
  seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1, without_bits(1, kWrites));
  return good;
}

bool add_rules(scmp_filter_ctx filter, bool may_read) {
  for (const int call : kAllowed) {
    if (call >= 0 && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0) return false;
  }
  for (const int call : kDeadly) {
    if (call >= 0 && seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0) != 0) return false;
  }
  // No memory becomes code after this; asking for limits is fine, changing those of others is not.
  bool good = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, without_bits(2, PROT_EXEC)) == 0;
  good = good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, without_bits(2, PROT_EXEC)) == 0;
  good = good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, equal_to(0, 0), equal_to(2, 0)) == 0;
  good = good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, equal_to(1, F_GETFL)) == 0;
  good = good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, equal_to(1, F_SETFD)) == 0;
  // abort() sends the signal to itself.
  good = good && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                                  equal_to(0, static_cast<uint64_t>(getpid()))) == 0;
  return good && (!may_read || allow_reading(filter));
}

bool load_filter(bool may_read) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == nullptr) return false;
  const bool loaded = add_rules(filter, may_read) && seccomp_load(filter) == 0;
  seccomp_release(filter);
  return loaded;
}

}  // namespace

Result<CageReport> enter_cage(const CageLimits& limits) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return Error{Code::kIo, std::string("cannot give up privileges: ") + std::strerror(errno), ""};
  }
  CageReport report;
  report.may_read = restrict_files(limits.readable);
  PHIAL_CHECKED(set_limits(limits));
  report.filtered = load_filter(report.may_read);
  if (!report.filtered) {
    report.warning = "this kernel refuses seccomp: the reader ran with limits on memory and time only";
    if (report.may_read) report.warning = "this kernel refuses seccomp: the reader ran with limits and Landlock only";
  } else if (!report.may_read) {
    report.warning = "this kernel has no Landlock: the reader could open no fonts and character maps";
  }
  return report;
}

}  // namespace phial::sandbox
