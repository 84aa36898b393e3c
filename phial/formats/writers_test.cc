// What the writers write, the readers read.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/formats/gguf.h"
#include "phial/formats/gguf_writer.h"
#include "phial/formats/safetensors.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/tensor/blocks.h"

namespace phial::formats {
namespace {

using tensor::DType;

TEST(WriteBeside, AnErrorNamesWhatWasAskedForAndNotTheHiddenFile) {
  const std::filesystem::path out = std::filesystem::path(testing::TempDir()) / "phial_writers_beside";
  const Status done = write_beside(out, [](const std::filesystem::path& partial) -> Status {
    return Error{Code::kIo, "cannot write: No space left on device (" + (partial / "config.json").string() + ")", ""};
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "cannot write: No space left on device (" + (out / "config.json").string() + ")");
}

class Writers : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::path(testing::TempDir()) /
            (std::string("phial_writers_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove(path_);
    for (size_t i = 0; i < 64; ++i) values_.push_back(static_cast<float>(i) - 31.5F);
    blocks_.resize(*tensor::bytes_of(DType::kQ8_0, 64));
    tensor::encode_row(DType::kQ8_0, values_, blocks_.data());
  }
  void TearDown() override { std::filesystem::remove(path_); }

  // One tensor as stored in two pieces, one rounded to F16, one decoded from blocks, one of a single number.
  std::vector<NewTensor> tensors() const {
    const auto* bytes = reinterpret_cast<const std::byte*>(values_.data());
    std::vector<NewTensor> out(4);
    out[0] = {"as.stored", DType::kF32, {2, 32}, {{DType::kF32, bytes + 128, 32}, {DType::kF32, bytes, 32}}};
    out[1] = {"rounded", DType::kF16, {3}, {{DType::kF32, bytes, 3}}};
    out[2] = {"decoded", DType::kF32, {64}, {{DType::kQ8_0, blocks_.data(), 64}}};
    out[3] = {"one", DType::kF32, {1, 1}, {{DType::kF32, bytes, 1}}};
    return out;
  }
  static std::vector<float> floats(const std::vector<Tensor>& tensors, const std::string& name) {
    const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& t) { return t.name == name; });
    if (at == tensors.end()) return {};
    std::vector<float> out(at->elements());
    tensor::decode_row(at->dtype, at->bytes.data(), 0, out);
    return out;
  }
  void expect_all(const std::vector<Tensor>& read) const {
    ASSERT_EQ(read.size(), 4U);
    std::vector<float> turned(values_.begin() + 32, values_.end());
    turned.insert(turned.end(), values_.begin(), values_.begin() + 32);
    EXPECT_EQ(floats(read, "as.stored"), turned);
    EXPECT_EQ(floats(read, "rounded"), std::vector<float>(values_.begin(), values_.begin() + 3));
    std::vector<float> decoded(64);
    tensor::decode_row(DType::kQ8_0, blocks_.data(), 0, decoded);
    EXPECT_EQ(floats(read, "decoded"), decoded);
    EXPECT_EQ(floats(read, "one"), std::vector<float>{-31.5F});
  }

  std::filesystem::path path_;
  std::vector<float> values_;
  std::vector<std::byte> blocks_;
};

TEST_F(Writers, SafetensorsAreReadBack) {
  ASSERT_TRUE(write_safetensors(path_, tensors(), {}));
  const auto file = MappedFile::open(path_);
  const auto read = parse_safetensors(file->bytes());
  ASSERT_TRUE(read) << read.error().text();
  expect_all(*read);
  for (const Tensor& tensor : *read) {
    EXPECT_EQ((tensor.bytes.data() - file->bytes().data()) % tensor::info(tensor.dtype).block_bytes, 0) << tensor.name;
  }
}

TEST_F(Writers, GgufIsReadBack) {
  const Json metadata = {{"general.architecture", "llama"},
                         {"whole", 7},
                         {"negative", -7},
                         {"large", uint64_t{1} << 40},
                         {"real", 0.5},
                         {"truth", true},
                         {"bytes", std::string("\xFF\x00z", 3)},
                         {"texts", {"a", "b c"}},
                         {"numbers", {1, 2, -3}},
                         {"reals", {0.25F, -1.0F}},
                         {"none", Json::array()}};
  ASSERT_TRUE(write_gguf(path_, metadata, tensors(), {}));
  const auto file = MappedFile::open(path_);
  const auto read = parse_gguf(file->bytes());
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->version, 3U);
  EXPECT_EQ(read->metadata, metadata);
  expect_all(read->tensors);
}

TEST_F(Writers, AFileThatIsThereIsNotOverwritten) {
  ASSERT_TRUE(write_gguf(path_, Json::object(), {}, {}));
  EXPECT_FALSE(write_safetensors(path_, tensors(), {}));
}

}  // namespace
}  // namespace phial::formats
