#include "phial/sandbox/cage.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <string>

namespace phial::sandbox {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr int kNoCage = 99;

// Runs `act` in a caged child; gives back the status of waitpid().
int caged(const CageLimits& limits, const std::function<int(const CageReport&)>& act) {
  const pid_t child = fork();
  if (child == 0) {
    const auto report = enter_cage(limits);
    _exit(report ? act(*report) : kNoCage);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

int exit_status(const CageLimits& limits, const std::function<int(const CageReport&)>& act) {
  const int status = caged(limits, act);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool has_seccomp() {
  return exit_status({}, [](const CageReport& report) { return report.filtered ? 0 : 1; }) == 0;
}

#define SKIP_WITHOUT_SECCOMP() \
  if (!has_seccomp())          \
  GTEST_SKIP() << "this kernel or container refuses seccomp filters, so no system call can be shut out here"

TEST(Cage, ComputingAndWritingToWhatIsOpenGoOn) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(exit_status({}, [&](const CageReport&) { return write(ends[1], "yes", 3) == 3 ? 0 : 1; }), 0);
  char answer[4] = {};
  EXPECT_EQ(read(ends[0], answer, 3), 3);
  EXPECT_STREQ(answer, "yes");
  close(ends[0]);
  close(ends[1]);
}

TEST(Cage, NoSocketCanBeMade) {
  SKIP_WITHOUT_SECCOMP();
  EXPECT_EQ(exit_status({}, [](const CageReport&) { return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0; }), EPERM);
  EXPECT_EQ(exit_status({}, [](const CageReport&) { return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0; }), EPERM);
}

TEST(Cage, StartingAProgramEndsTheProcess) {
  SKIP_WITHOUT_SECCOMP();
  EXPECT_EQ(exit_status({}, [](const CageReport&) { return execl("/bin/true", "true", nullptr); }), -SIGSYS);
}

TEST(Cage, NoProcessCanBeMade) {
  SKIP_WITHOUT_SECCOMP();
  EXPECT_EQ(exit_status({}, [](const CageReport&) { return fork() < 0 ? errno : 0; }), EPERM);
}

TEST(Cage, NothingIsOpenedForWritingCreatedOrRemoved) {
  const std::string path = testing::TempDir() + "/cage_test_file";
  const int file = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  ASSERT_GE(file, 0);
  close(file);
  CageLimits limits;
  limits.readable = {testing::TempDir()};
  const auto denied = [](int result) { return result < 0 && (errno == EPERM || errno == EACCES) ? 0 : 1; };
  EXPECT_EQ(exit_status(limits, [&](const CageReport&) { return denied(open(path.c_str(), O_WRONLY)); }), 0);
  EXPECT_EQ(exit_status(limits, [&](const CageReport&) { return denied(open((path + "2").c_str(), O_CREAT, 0600)); }),
            0);
  EXPECT_EQ(exit_status(limits, [&](const CageReport&) { return denied(unlink(path.c_str())); }), 0);
  EXPECT_EQ(exit_status(limits, [&](const CageReport&) { return denied(mkdir((path + "3").c_str(), 0700)); }), 0);
  EXPECT_EQ(exit_status(limits, [&](const CageReport&) { return denied(chmod(path.c_str(), 0777)); }), 0);
  std::filesystem::remove(path);
}

TEST(Cage, OnlyTheNamedFoldersAreRead) {
  CageLimits limits;
  limits.readable = {"/usr/share", "/no/such/folder"};
  EXPECT_EQ(exit_status(limits, [](const CageReport&) { return open("/etc/passwd", O_RDONLY) < 0 ? 0 : 1; }), 0);
  EXPECT_EQ(exit_status(limits,
                        [](const CageReport& report) {
                          const bool opened = open("/usr/share", O_RDONLY | O_DIRECTORY) >= 0;
                          return opened == report.may_read ? 0 : 1;
                        }),
            0);
}

TEST(Cage, EndlessWorkIsEndedByTheCpuLimit) {
  CageLimits limits;
  limits.cpu_seconds = 1;
  const int signal = -exit_status(limits, [](const CageReport&) {
    const clock_t long_past_the_limit = 30 * CLOCKS_PER_SEC;
    while (clock() < long_past_the_limit) {
    }
    return 0;
  });
  EXPECT_TRUE(signal == SIGXCPU || signal == SIGKILL) << signal;
}

TEST(Cage, MemoryBeyondTheLimitIsRefused) {
  if (kSanitized)
    GTEST_SKIP() << "a sanitizer reserves terabytes of addresses, so the cage sets no limit; built without, it does";
  CageLimits limits;
  limits.memory_bytes = uint64_t{256} << 20;
  EXPECT_EQ(exit_status(limits,
                        [](const CageReport&) {
                          void* const little = std::malloc(size_t{16} << 20);
                          void* const much = std::malloc(size_t{512} << 20);
                          return little != nullptr && much == nullptr ? 0 : 1;
                        }),
            0);
}

TEST(Cage, AMissingWallIsReported) {
  EXPECT_EQ(exit_status({},
                        [](const CageReport& report) {
                          return (report.filtered && report.may_read) == report.warning.empty() ? 0 : 1;
                        }),
            0);
}

}  // namespace
}  // namespace phial::sandbox
