// What a snapshot is not taken for: whole when it is not, or of another step.
#include "phial/train/snapshot.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "phial/base/mapped_file.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/train/moments.h"
#include "phial/train/ranks_for_test.h"
#include "phial/train/stored_tensor.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;

class Snapshots : public testing::Test {
 protected:
  Snapshots() {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Snapshots() override { fs::remove_all(folder_); }

  static std::vector<Parameter> one_parameter() {
    return {{"p", spec::TensorRole::kQuery, at::zeros({2, 5}).requires_grad_()}};
  }
  static spec::DecoderSpec llama_spec() {
    spec::DecoderSpec spec;
    spec.architecture = "llama";
    return spec;
  }
  static void write(const fs::path& folder, const RunState& state) {
    const auto parameters = one_parameter();
    AdamW optimizer(parameters, llama_spec(), std::nullopt, {});
    ProcessGroup alone;
    ASSERT_TRUE(write_snapshot(folder, state, parameters, nullptr, optimizer, /*keep=*/9, alone));
  }
  static Result<std::optional<RunState>> read(ProcessGroup& group, const fs::path& folder, int& warnings) {
    auto parameters = one_parameter();
    AdamW optimizer(parameters, llama_spec(), std::nullopt, {});
    const auto accept = [](const RunState&) { return ok(); };
    return read_newest_snapshot(
        folder, parameters, nullptr, optimizer, accept, [&](Severity, std::string_view) { ++warnings; }, group);
  }
  // The state of a snapshot with another step in it, and the hash of that.
  static void forge_step(const fs::path& folder, int64_t step) {
    Json json = *parse_json(*read_text_file(folder / "state.json"));
    json.erase("hash");
    json["step"] = step;
    const std::string text = dump_json(json);
    char hash[17];
    std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
    json["hash"] = hash;
    std::ofstream(folder / "state.json") << dump_json(json);
  }

  const fs::path folder_ =
      fs::temp_directory_path() /
      ("phial-snapshots-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
};

TEST_F(Snapshots, AStateThatIsNotOfItsFoldersStepIsDamaged) {
  for (const int64_t forged : {-1, 2, 9}) {
    write(folder_, {.step = 2});
    write(folder_, {.step = 4});
    forge_step(folder_ / "step-000000004", forged);
    int warnings = 0;
    ProcessGroup alone;
    const auto found = read(alone, folder_, warnings);
    ASSERT_TRUE(found) << found.error().text();
    ASSERT_TRUE(*found);
    EXPECT_EQ((*found)->step, 2) << forged;
    EXPECT_EQ(warnings, 1) << forged;
  }
}

TEST_F(Snapshots, AFolderOfAnotherNameIsNone) {
  write(folder_, {.step = 2});
  for (const char* name : {"step-4", "step--00000004", "step-000000004x"}) {
    fs::copy(folder_ / "step-000000002", folder_ / name);
  }
  int warnings = 0;
  ProcessGroup alone;
  const auto found = read(alone, folder_, warnings);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->step, 2);
  EXPECT_EQ(warnings, 0);
}

// As where a run's folder is not shared between machines.
TEST_F(Snapshots, RanksThatSeeDifferentOnesSaySo) {
  write(folder_ / "one", {.step = 2, .tokens = 6});
  write(folder_ / "other", {.step = 2, .tokens = 7});
  at_ranks(2, [&](ProcessGroup& group) {
    int warnings = 0;
    const auto found = read(group, folder_ / (group.rank() == 1 ? "other" : "one"), warnings);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().message, "rank 1 has another snapshot than rank 0");
  });
}

TEST_F(Snapshots, MomentsWithAHoleOrAnOverlapAreNotWhole) {
  struct Piece {
    int64_t begin, size;
  };
  const auto take = [&](const std::vector<Piece>& pieces) {
    StoredTensors tensors;
    for (const Piece& piece : pieces) {
      const at::Tensor values = at::arange(piece.begin, piece.begin + piece.size, at::kFloat);
      const std::string place = piece.begin == 0 ? "" : "@" + std::to_string(piece.begin);
      for (const char* kind : {"mean.p", "square.p"}) tensors.add(kind + place, values);
    }
    const std::vector<fs::path> files = {folder_ / "optimizer.safetensors"};
    fs::remove(files[0]);
    EXPECT_TRUE(formats::write_safetensors(files[0], tensors.tensors(), {}));
    const auto parameters = one_parameter();
    AdamW optimizer(parameters, llama_spec(), std::nullopt, {}, {{2, 6}});
    Status taken = take_moments(files, parameters, optimizer);
    if (taken) {
      EXPECT_TRUE(optimizer.states()[0].mean.equal(at::arange(2, 6, at::kFloat)));
    }
    return taken;
  };
  EXPECT_TRUE(take({{0, 10}}));
  EXPECT_TRUE(take({{0, 3}, {3, 4}, {7, 3}}));
  EXPECT_TRUE(take({{7, 3}, {0, 3}, {3, 4}}));
  for (const std::vector<Piece>& pieces : std::vector<std::vector<Piece>>{
           {}, {{2, 4}}, {{0, 6}}, {{0, 3}, {4, 6}}, {{0, 4}, {3, 7}}, {{0, 10}, {3, 3}}, {{0, 3}, {5, 5}, {2, 2}}}) {
    const Status taken = take(pieces);
    ASSERT_FALSE(taken) << pieces.size();
    EXPECT_EQ(taken.error().code, Code::kCorrupt);
  }
  EXPECT_EQ(take({{0, 10}, {10, 1}}).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace phial::train
