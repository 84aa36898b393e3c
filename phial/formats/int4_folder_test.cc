#include "phial/formats/int4_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "phial/base/mapped_file.h"
#include "phial/formats/safetensors.h"
#include "phial/tensor/blocks.h"

namespace phial::formats {
namespace {

using tensor::DType;
using testing::HasSubstr;

Json config(Json stated) { return {{"quantization_config", std::move(stated)}}; }
const Json kAwq = {{"quant_method", "awq"}, {"bits", 4}, {"group_size", 32}, {"version", "gemm"}};
const Json kGptq = {{"quant_method", "gptq"}, {"bits", 4}, {"group_size", 32}, {"desc_act", true}};

// A matrix with its expected weights, made by another implementation; here called "m".
class Vectors {
 public:
  explicit Vectors(const std::string& name)
      : file_(*MappedFile::open(std::string(PHIAL_TESTDATA) + "/quant/" + name + ".safetensors")),
        tensors_(*parse_safetensors(file_.bytes())) {
    for (Tensor& tensor : tensors_) tensor.name = "m." + tensor.name;
  }
  std::vector<Tensor> tensors() const { return tensors_; }
  const Tensor& find(const std::string& name) const {
    return *std::find_if(tensors_.begin(), tensors_.end(), [&](const Tensor& t) { return t.name == name; });
  }

 private:
  MappedFile file_;
  std::vector<Tensor> tensors_;
};

const Vectors& awq_vectors() {
  static const Vectors kVectors("awq-gemm-4bit");
  return kVectors;
}
const Vectors& gptq_vectors() {
  static const Vectors kVectors("gptq-4bit");
  return kVectors;
}

void expect_the_references_bits(const Vectors& vectors, const Json& stated) {
  auto tensors = vectors.tensors();
  const Status joined = join_int4(config(stated), tensors);
  ASSERT_TRUE(joined) << joined.error().text();
  ASSERT_EQ(tensors.back().name, "m.weight");
  const Tensor& matrix = tensors.back();
  const Tensor& wanted = vectors.find("m.decoded_in_out");
  ASSERT_EQ(matrix.dtype, DType::kInt4);
  ASSERT_EQ(matrix.shape, (std::vector<uint64_t>{wanted.shape[1], wanted.shape[0]}));
  std::vector<float> row(matrix.shape[1]);
  for (size_t n = 0; n < matrix.shape[0]; ++n) {
    tensor::decode_row(*matrix.int4, n, 0, row);
    for (size_t k = 0; k < row.size(); ++k) {
      float expected;
      tensor::decode_row(DType::kF32, wanted.bytes.data(), k * matrix.shape[0] + n, {&expected, 1});
      ASSERT_EQ(row[k], expected) << "weight " << n << ", " << k;
    }
  }
}

TEST(Int4Folder, AwqDecodesToTheReferencesBits) { expect_the_references_bits(awq_vectors(), kAwq); }

TEST(Int4Folder, GptqInActOrderDecodesToTheReferencesBits) { expect_the_references_bits(gptq_vectors(), kGptq); }

TEST(Int4Folder, TheSecondVersionOfGptqStoresZeroPointsAsTheyAre) {
  auto first = gptq_vectors().tensors(), second = first;
  Json stated = kGptq;
  ASSERT_TRUE(join_int4(config(stated), first));
  stated["checkpoint_format"] = "gptq_v2";
  ASSERT_TRUE(join_int4(config(stated), second));
  EXPECT_EQ(first.back().int4->zero(1, 5), second.back().int4->zero(1, 5) + 1);
}

TEST(Int4Folder, GroupsInOrderNeedNoList) {
  auto tensors = gptq_vectors().tensors();
  std::erase_if(tensors, [](const Tensor& t) { return t.name == "m.g_idx"; });
  ASSERT_TRUE(join_int4(config(kGptq), tensors));
  EXPECT_EQ(tensors.back().int4->group(33), 1U);
  std::vector<int32_t> in_order(256);
  for (size_t i = 0; i < in_order.size(); ++i) in_order[i] = static_cast<int32_t>(i / 32);
  auto listed = gptq_vectors().tensors();
  for (Tensor& tensor : listed) {
    if (tensor.name == "m.g_idx") tensor.bytes = std::as_bytes(std::span(in_order));
  }
  ASSERT_TRUE(join_int4(config(kGptq), listed));
  EXPECT_TRUE(tensor::groups_are_whole(*listed.back().int4, 32));
}

std::string why_not(Json stated, std::vector<Tensor> tensors) {
  const Status joined = join_int4(config(std::move(stated)), tensors);
  return joined ? "it was read" : joined.error().text();
}

TEST(Int4Folder, AVariantThatIsNotReadIsRefusedByName) {
  const auto awq = awq_vectors().tensors(), gptq = gptq_vectors().tensors();
  const auto with = [](Json stated, const char* key, Json value) {
    stated[key] = std::move(value);
    return stated;
  };
  EXPECT_THAT(why_not(with(kAwq, "version", "GEMV"), awq), HasSubstr("awq of version 'gemv'"));
  EXPECT_THAT(why_not(with(kAwq, "version", "marlin"), awq), HasSubstr("'marlin'"));
  EXPECT_THAT(why_not(with(kAwq, "bits", 8), awq), HasSubstr("8 bits"));
  EXPECT_THAT(why_not(with(kAwq, "bits", "4"), awq), HasSubstr("unknown bits"));
  EXPECT_THAT(why_not(with(kGptq, "bits", 3), gptq), HasSubstr("3 bits"));
  EXPECT_THAT(why_not(with(kGptq, "checkpoint_format", "marlin"), gptq), HasSubstr("checkpoint_format 'marlin'"));
  EXPECT_THAT(why_not(with(kGptq, "is_marlin_format", true), gptq), HasSubstr("'marlin'"));
  for (const Json& size : {Json(0), Json(-2), Json("128"), Json()}) {
    EXPECT_THAT(why_not(with(kGptq, "group_size", size), gptq), HasSubstr("group_size"));
  }
  EXPECT_EQ(why_not(with(kAwq, "version", "GEMM"), awq), "it was read");
}

TEST(Int4Folder, OtherMethodsAreLeftAsTheyAre) {
  auto tensors = awq_vectors().tensors();
  const size_t before = tensors.size();
  EXPECT_TRUE(join_int4(config({{"quant_method", "bitsandbytes"}}), tensors));
  EXPECT_TRUE(join_int4(config("gptq"), tensors));
  EXPECT_EQ(tensors.size(), before);
}

TEST(Int4Folder, QuantizedTensorsWithoutAConfigAreAnErrorThatNamesOne) {
  auto tensors = awq_vectors().tensors();
  EXPECT_THAT(join_int4({{"model_type", "phi3"}}, tensors).error().text(), HasSubstr("'m.qweight' is quantized"));
}

TEST(Int4Folder, APartThatIsMissingOrMisshapenIsNamed) {
  const auto whole = gptq_vectors().tensors();
  for (const char* part : {"qzeros", "scales"}) {
    auto tensors = whole;
    std::erase_if(tensors, [&](const Tensor& t) { return t.name == std::string("m.") + part; });
    EXPECT_THAT(why_not(kGptq, tensors), HasSubstr("'m." + std::string(part) + "' is missing"));
  }
  for (const char* part : {"qweight", "qzeros", "scales", "g_idx"}) {
    for (const std::vector<uint64_t>& shape : {std::vector<uint64_t>{}, {0, 64}, {32, 0}, {3}, {1, 2, 3}}) {
      auto tensors = whole;
      for (Tensor& t : tensors) {
        if (t.name == std::string("m.") + part) t.shape = shape;
      }
      EXPECT_THAT(why_not(kGptq, tensors), HasSubstr("'m." + std::string(part) + "'"));
    }
    auto tensors = whole;
    for (Tensor& t : tensors) {
      if (t.name == std::string("m.") + part) t.dtype = DType::kI64;
    }
    EXPECT_THAT(why_not(kGptq, tensors), HasSubstr("'m." + std::string(part) + "' is I64"));
  }
  Json stated = kGptq;
  stated["group_size"] = 64;
  EXPECT_THAT(why_not(stated, whole), HasSubstr("wanted I32 of shape [4, 8] for groups of 64"));
}

TEST(Int4Folder, AGroupOutOfRangeIsAnErrorThatNamesTheInput) {
  for (const int32_t wrong : {-1, 8, INT32_MAX, INT32_MIN}) {
    std::vector<int32_t> groups(256, 0);
    groups[77] = wrong;
    auto tensors = gptq_vectors().tensors();
    for (Tensor& t : tensors) {
      if (t.name == "m.g_idx") t.bytes = std::as_bytes(std::span(groups));
    }
    EXPECT_THAT(why_not(kGptq, tensors), HasSubstr("'m.g_idx' gives input 77 the group " + std::to_string(wrong)));
  }
}

TEST(Int4Folder, OutputsThatFillNoWordAreRefused) {
  std::vector<int32_t> words(4 * 12);
  std::vector<Tensor> tensors(1);
  tensors[0].name = "m.qweight";
  tensors[0].dtype = DType::kI32;
  tensors[0].shape = {4, 12};
  tensors[0].bytes = std::as_bytes(std::span(words));
  EXPECT_THAT(why_not(kGptq, tensors), HasSubstr("maps 32 inputs to 12 outputs, wanted multiples of 8"));
}

}  // namespace
}  // namespace phial::formats
