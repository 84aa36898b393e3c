// The program itself, killed at random steps without warning: what it makes in the end has the bits of a run that was
// left alone.
#include <gtest/gtest.h>

#include "phial/base/random.h"
#include "phial/train/training_program_for_test.h"

namespace phial::train {
namespace {

class Resume : public TrainingProgram {
 protected:
  // 40 steps, a snapshot every third.
  pid_t start(const std::string& out) const {
    return TrainingProgram::start(
        out, {"data.sequence_tokens=32", "batch.rows=2", "batch.accumulate=2", "train.steps=40", "train.threads=2",
              "schedule.warmup_steps=5", "run.snapshot_every=3", "train.average_decay=0.9"});
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
