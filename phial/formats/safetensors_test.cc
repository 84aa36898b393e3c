#include "phial/formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace phial::formats {
namespace {

using testing::HasSubstr;

std::vector<std::byte> file_of(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::vector<std::byte> bytes(sizeof length + header.size() + data_bytes);
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + sizeof length, header.data(), header.size());
  return bytes;
}

std::string why_not(const std::string& header, size_t data_bytes) {
  const auto parsed = parse_safetensors(file_of(header, data_bytes));
  return parsed ? "it was read" : parsed.error().text();
}

const std::string kTwo = R"({"__metadata__":{"format":"pt"},)"
                         R"("b":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},)"
                         R"("a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}  )";

TEST(Safetensors, TensorsComeInTheOrderOfTheirBytes) {
  const auto file = file_of(kTwo, 32);
  const auto tensors = parse_safetensors(file);
  ASSERT_TRUE(tensors) << tensors.error().text();
  ASSERT_EQ(tensors->size(), 2U);
  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_EQ((*tensors)[0].dtype, tensor::DType::kF16);
  EXPECT_THAT((*tensors)[1].shape, testing::ElementsAre(2, 3));
  EXPECT_EQ((*tensors)[1].bytes.data(), file.data() + file.size() - 24);
}

TEST(Safetensors, NoTensorsAScalarAndAnEmptyTensorAreRead) {
  EXPECT_TRUE(parse_safetensors(file_of("{}", 0)));
  EXPECT_TRUE(parse_safetensors(file_of(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4)));
  EXPECT_TRUE(parse_safetensors(file_of(R"({"e":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},)"
                                        R"("s":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                        1)));
}

TEST(Safetensors, ABrokenHeaderIsAnError) {
  EXPECT_THAT(why_not("", 0), HasSubstr("malformed JSON"));
  EXPECT_THAT(why_not("[1]", 0), HasSubstr("not a JSON object"));
  EXPECT_THAT(why_not(R"({"a":)", 0), HasSubstr("malformed JSON at byte"));
  EXPECT_THAT(why_not(std::string(2000, '[') + std::string(2000, ']'), 0), HasSubstr("deeper"));
  std::vector<std::byte> file(64);
  for (const uint64_t length : {uint64_t{57}, uint64_t{1} << 30, ~uint64_t{0}}) {
    std::memcpy(file.data(), &length, sizeof length);
    EXPECT_FALSE(parse_safetensors(file)) << length;
  }
}

TEST(Safetensors, OffsetsMustCoverTheDataWithoutHolesOrOverlap) {
  EXPECT_THAT(why_not(kTwo, 31), HasSubstr("tensor 'b' ends at byte 32 of the data, which has 31"));
  EXPECT_THAT(why_not(kTwo, 33), HasSubstr("1 bytes after the last tensor"));
  EXPECT_THAT(why_not(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", 8), HasSubstr("begins at byte 4"));
  EXPECT_THAT(why_not(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                      R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                      6),
              HasSubstr("tensor 'b' begins at byte 2"));
}

TEST(Safetensors, ANameGivenTwiceIsRefused) {
  EXPECT_THAT(why_not(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                      R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                      4),
              HasSubstr("'a' is given twice"));
}

TEST(Safetensors, FieldsThatMakeNoSenseAreRefused) {
  const auto with = [](const std::string& fields) { return why_not("{\"w\":" + fields + "}", 8); };
  EXPECT_THAT(with("5"), HasSubstr("no dtype"));
  EXPECT_THAT(with(R"({"shape":[8],"data_offsets":[0,8]})"), HasSubstr("no dtype"));
  EXPECT_THAT(with(R"({"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]})"), HasSubstr("'F8_E4M3'"));
  EXPECT_THAT(with(R"({"dtype":"Q4_0","shape":[32],"data_offsets":[0,18]})"), HasSubstr("'Q4_0'"));
  EXPECT_THAT(with(R"({"dtype":"U8","data_offsets":[0,8]})"), HasSubstr("no shape"));
  EXPECT_THAT(with(R"({"dtype":"U8","shape":[-8],"data_offsets":[0,8]})"), HasSubstr("is -8"));
  EXPECT_THAT(with(R"({"dtype":"U8","shape":[8.0],"data_offsets":[0,8]})"), HasSubstr("is 8.0"));
  EXPECT_THAT(with(R"({"dtype":"U8","shape":[1,1,1,1,1,1,1,1,8],"data_offsets":[0,8]})"), HasSubstr("no shape"));
  EXPECT_THAT(with(R"({"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,8]})"), HasSubstr("dimension"));
  EXPECT_THAT(with(R"({"dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8]})"), HasSubstr("2^64"));
  EXPECT_THAT(with(R"({"dtype":"U8","shape":[7],"data_offsets":[0,8]})"), HasSubstr("need 7"));
  EXPECT_THAT(with(R"({"dtype":"U8","shape":[8],"data_offsets":[8,0]})"), HasSubstr("data_offsets"));
  EXPECT_THAT(with(R"({"dtype":"U8","shape":[8],"data_offsets":[0]})"), HasSubstr("data_offsets"));
  EXPECT_THAT(with(R"({"dtype":"U8","shape":[8],"data_offsets":"0,8"})"), HasSubstr("data_offsets"));
}

TEST(Safetensors, CutOrChangedAnywhereItIsAFileOrAnErrorAndNeverACrash) {
  std::vector<std::byte> file = file_of(kTwo, 32);
  for (size_t size = 0; size < file.size(); ++size) {
    ASSERT_FALSE(parse_safetensors(std::vector(file.begin(), file.begin() + static_cast<ptrdiff_t>(size)))) << size;
  }
  for (std::byte& byte : file) {
    const std::byte original = byte;
    for (int value = 0; value < 256; ++value) {
      byte = static_cast<std::byte>(value);
      const bool was_read = parse_safetensors(file).has_value();
      ASSERT_TRUE(was_read || byte != original);
    }
    byte = original;
  }
}

TEST(ShardIndex, NamesTheFileOfEachTensor) {
  const auto shards = parse_shard_index(R"({"metadata":{"total_size":8},"weight_map":{"a":"x-1.safetensors",)"
                                        R"("b":"x-2.safetensors"}})");
  ASSERT_TRUE(shards) << shards.error().text();
  EXPECT_EQ(shards->at("b"), "x-2.safetensors");
}

TEST(ShardIndex, AFileOutsideTheFolderIsRefused) {
  for (const std::string file :
       {"../x.safetensors", "/etc/passwd", "a/b.safetensors", "a\\\\b", "..", ".", "", "x\\u0000.safetensors"}) {
    EXPECT_FALSE(parse_shard_index(R"({"weight_map":{"a":")" + file + "\"}}")) << file;
  }
}

TEST(ShardIndex, WhatIsNoIndexIsAnError) {
  for (const char* text : {"", "{}", "[]", R"({"weight_map":[]})", R"({"weight_map":{}})", R"({"weight_map":{"a":3}})",
                           R"({"weight_map":{"a":"f","a":"g"}})"}) {
    EXPECT_FALSE(parse_shard_index(text)) << text;
  }
}

}  // namespace
}  // namespace phial::formats
