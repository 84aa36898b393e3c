#include "phial/cli/launcher.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace phial::cli {
namespace {

class Launcher : public testing::Test {
 protected:
  Launcher() { clear(); }
  ~Launcher() override { clear(); }
  static void set(const char* name, const char* value) { ::setenv(name, value, 1); }
  static void clear() {
    for (const char* name :
         {"RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "SLURM_PROCID", "SLURM_NTASKS",
          "SLURM_STEP_NUM_TASKS", "TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RESTART_COUNT"}) {
      ::unsetenv(name);
    }
  }
};

TEST_F(Launcher, WithoutItsVariablesThereIsOneProcess) {
  EXPECT_EQ(world_of_environment()->size, 1);
  EXPECT_TRUE(check_is_alone());
}

TEST_F(Launcher, TorchrunsVariablesAreRead) {
  set("RANK", "3");
  set("WORLD_SIZE", "8");
  set("LOCAL_WORLD_SIZE", "4");
  set("MASTER_ADDR", "node7");
  set("MASTER_PORT", "29500");
  set("TORCHELASTIC_USE_AGENT_STORE", "True");
  set("TORCHELASTIC_RESTART_COUNT", "2");
  set("SLURM_PROCID", "1");  // torchrun under Slurm
  set("SLURM_STEP_NUM_TASKS", "2");
  const auto world = world_of_environment();
  ASSERT_TRUE(world) << world.error().text();
  EXPECT_EQ(world->rank, 3);
  EXPECT_EQ(world->size, 8);
  EXPECT_EQ(world->on_this_machine, 4);
  EXPECT_EQ(world->address, "node7");
  EXPECT_EQ(world->port, 29500);
  EXPECT_TRUE(world->is_store_of_launcher);
  EXPECT_EQ(world->restarts, 2);
  EXPECT_EQ(check_is_alone().error().message, "this runs in one process, and 8 were started");
}

TEST_F(Launcher, SlurmsVariablesAreReadWithAPlaceToMeet) {
  set("SLURM_PROCID", "1");
  set("SLURM_STEP_NUM_TASKS", "2");
  EXPECT_EQ(world_of_environment().error().message, "MASTER_PORT is not set");
  set("MASTER_PORT", "1234");
  EXPECT_EQ(world_of_environment().error().message, "MASTER_ADDR is not set");
  set("MASTER_ADDR", "node7");
  const auto world = world_of_environment();
  ASSERT_TRUE(world) << world.error().text();
  EXPECT_EQ(world->rank, 1);
  EXPECT_EQ(world->size, 2);
  EXPECT_FALSE(world->is_store_of_launcher);
}

TEST_F(Launcher, OneTaskOfSlurmIsOneProcess) {
  set("SLURM_PROCID", "0");
  set("SLURM_STEP_NUM_TASKS", "1");
  EXPECT_EQ(world_of_environment()->size, 1);
}

TEST_F(Launcher, ABatchScriptOfSlurmWithoutSrunIsOneProcess) {
  set("SLURM_PROCID", "0");
  set("SLURM_NTASKS", "8");
  EXPECT_EQ(world_of_environment()->size, 1);
  EXPECT_TRUE(check_is_alone());
}

TEST_F(Launcher, HalfOfTorchrunsVariablesAreAnErrorThatNamesTheOther) {
  for (const char* size : {"1", "4"}) {
    set("WORLD_SIZE", size);
    const auto world = world_of_environment();
    ASSERT_FALSE(world);
    EXPECT_EQ(world.error().code, Code::kInvalid);
    EXPECT_TRUE(world.error().message.starts_with("RANK is not set")) << world.error().message;
  }
  clear();
  set("RANK", "0");
  EXPECT_TRUE(world_of_environment().error().message.starts_with("WORLD_SIZE is not set"));
}

TEST_F(Launcher, AVariableThatMakesNoSenseIsAnErrorThatNamesIt) {
  set("WORLD_SIZE", "4");
  set("MASTER_ADDR", "node7");
  set("MASTER_PORT", "29500");
  for (const char* rank : {"4", "-1", "", "1x", "99999999999"}) {
    set("RANK", rank);
    EXPECT_EQ(world_of_environment().error().message, "'" + std::string(rank) + "' is no number from 0 to 3 (RANK)");
  }
}

}  // namespace
}  // namespace phial::cli
