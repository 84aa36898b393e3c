// The program itself, killed at random steps without warning: what it makes in the end has the bits of a run that was
// left alone.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "phial/base/random.h"
#include "phial/train/run_files_for_test.h"

namespace phial::train {
namespace {

class Resume : public RunFiles {
 protected:
  // 40 steps, a snapshot every third.
  pid_t start(const std::string& out) const {
    std::vector<std::string> words = {PHIAL_TRAIN_PROGRAM, "pretrain", "--quiet"};
    PretrainConfig config = tiny_run(out);
    for (const std::string& field :
         {"model.config=" + config.model_config, "data.shards=['" + config.shards.front() + "']",
          "run.out=" + config.out, std::string("data.sequence_tokens=32"), std::string("batch.rows=2"),
          std::string("batch.accumulate=2"), std::string("train.steps=40"), std::string("train.threads=2"),
          std::string("schedule.warmup_steps=5"), std::string("run.snapshot_every=3")}) {
      words.insert(words.end(), {"--set", field});
    }
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    EXPECT_EQ(posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ), 0);
    return pid;
  }

  static int status_of(pid_t pid) {
    int status = -1;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return status;
  }
  size_t lines(const std::string& out) const {
    std::ifstream in(path(out) / "metrics.jsonl");
    size_t n = 0;
    for (std::string line; std::getline(in, line);) ++n;
    return n;
  }

  // Kills the program once it has done `more` steps than it had. False: it ended before.
  bool kill_after(const std::string& out, size_t more, std::chrono::microseconds then) const {
    const pid_t pid = start(out);
    const auto begin = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    size_t first = lines(out);
    for (int status = 0; waitpid(pid, &status, WNOHANG) == 0;) {
      const size_t now = lines(out);
      if (now < first) first = now;  // what was behind the snapshot is cut off
      if (now >= first + more) {
        std::this_thread::sleep_for(then);
        kill(pid, SIGKILL);
        return WIFSIGNALED(status_of(pid));
      }
      if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(60)) {
        kill(pid, SIGKILL);
        status_of(pid);
        ADD_FAILURE() << "no step in a minute";
        return false;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
    return false;
  }
};

TEST_F(Resume, ARunThatIsKilledAgainAndAgainEndsWithTheSameBits) {
  ASSERT_EQ(status_of(start("whole")), 0);
  Random random(11);
  int killed = 0;
  for (int i = 0; i < 6; ++i) {
    const std::chrono::microseconds then(random.below(4000));
    if (!kill_after("parts", 1 + random.below(9), then)) break;
    ++killed;
  }
  EXPECT_GE(killed, 3);
  ASSERT_EQ(status_of(start("parts")), 0);
  EXPECT_EQ(losses_of("parts"), losses_of("whole"));
  EXPECT_EQ(losses_of("parts").size(), 40);
  EXPECT_EQ(model_bytes("parts"), model_bytes("whole"));
}

}  // namespace
}  // namespace phial::train
