// The program phial-train over the files of a tiny run, started and ended as launchers and misfortune do. For tests.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "phial/train/run_files_for_test.h"

namespace phial::train {

class TrainingProgram : public RunFiles {
 protected:
  // `fields` and `variables` of the environment as "name=value"; the model, the data and run.out are given.
  pid_t start(const std::string& out, const std::vector<std::string>& fields,
              std::vector<std::string> variables = {}) const {
    std::vector<std::string> words = {PHIAL_TRAIN_PROGRAM, "pretrain", "--quiet"};
    const PretrainConfig config = tiny_run(out);
    for (const std::string& field :
         {"model.config=" + config.model_config, "data.shards=['" + config.shards.front() + "']",
          "run.out=" + config.out, "train.device=" + config.device}) {
      words.insert(words.end(), {"--set", field});
    }
    for (const std::string& field : fields) words.insert(words.end(), {"--set", field});
    for (char** each = environ; *each != nullptr; ++each) {
      if (!is_of_launcher(*each)) variables.emplace_back(*each);
    }
    std::vector<char*> argv = pointers_to(words), env = pointers_to(variables);
    pid_t pid = 0;
    EXPECT_EQ(posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), env.data()), 0);
    return pid;
  }

  static int status_of(pid_t pid) {
    int status = -1;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return status;
  }

  // Lines of the run's metrics.
  size_t lines(const std::string& out) const {
    std::ifstream in(path(out) / "metrics.jsonl");
    size_t n = 0;
    for (std::string line; std::getline(in, line);) ++n;
    return n;
  }

 private:
  // Tests may themselves be started by one.
  static bool is_of_launcher(std::string_view variable) {
    constexpr std::string_view kPrefixes[] = {
        "RANK=", "WORLD_SIZE=", "LOCAL_WORLD_SIZE=", "MASTER_ADDR=", "MASTER_PORT=", "SLURM_", "TORCHELASTIC_"};
    return std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return variable.starts_with(prefix); });
  }

  static std::vector<char*> pointers_to(std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
  }
};

}  // namespace phial::train
