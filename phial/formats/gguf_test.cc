#include "phial/formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "phial/base/mapped_file.h"

namespace phial::formats {
namespace {

using testing::HasSubstr;

// Writes GGUF files by hand, well-formed or not.
class GgufWriter {
 public:
  template <class T>
  GgufWriter& put(T value) {
    const auto* from = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), from, from + sizeof value);
    return *this;
  }
  GgufWriter& text(std::string_view text) {
    put<uint64_t>(text.size());
    return raw(text);
  }
  GgufWriter& raw(std::string_view text) {
    const auto* from = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), from, from + text.size());
    return *this;
  }
  GgufWriter& header(uint64_t n_tensors, uint64_t n_entries, uint32_t version = 3) {
    return raw("GGUF").put(version).put(n_tensors).put(n_entries);
  }
  GgufWriter& entry_u32(std::string_view key, uint32_t value) { return text(key).put<uint32_t>(4).put(value); }
  GgufWriter& tensor(std::string_view name, const std::vector<uint64_t>& innermost_first, uint32_t type,
                     uint64_t offset) {
    text(name).put(static_cast<uint32_t>(innermost_first.size()));
    for (const uint64_t extent : innermost_first) put(extent);
    return put(type).put(offset);
  }
  GgufWriter& pad(size_t alignment = 32) {
    while (bytes_.size() % alignment != 0) bytes_.push_back({});
    return *this;
  }
  GgufWriter& zeros(size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

std::string why_not(const GgufWriter& file) {
  const auto parsed = parse_gguf(file.bytes());
  return parsed ? "it was read" : parsed.error().text();
}

TEST(Gguf, AFileWrittenByHandReadsBack) {
  for (const uint32_t version : {2U, 3U}) {
    GgufWriter file;
    file.header(2, 2, version).entry_u32("general.alignment", 64).text("general.architecture").put<uint32_t>(8);
    file.text("llama").tensor("a", {4, 3}, 0, 0).tensor("b", {32}, 2, 64).pad(64);
    file.put(1.5F).zeros(60).put<uint16_t>(0x3C00).zeros(16);
    const auto gguf = parse_gguf(file.bytes());
    ASSERT_TRUE(gguf) << gguf.error().text();
    EXPECT_EQ(gguf->version, version);
    EXPECT_EQ(gguf->alignment, 64U);
    EXPECT_EQ(*find_string(gguf->metadata, "general.architecture"), "llama");
    ASSERT_EQ(gguf->tensors.size(), 2U);
    EXPECT_EQ(gguf->tensors[0].name, "a");
    EXPECT_THAT(gguf->tensors[0].shape, testing::ElementsAre(3, 4));  // outermost first
    EXPECT_EQ(gguf->tensors[0].bytes.size(), 48U);
    EXPECT_EQ(gguf->tensors[1].dtype, tensor::DType::kQ4_0);
    EXPECT_EQ(gguf->tensors[1].bytes.size(), 18U);
    EXPECT_EQ(gguf->tensors[1].bytes[1], std::byte{0x3C});
  }
}

TEST(Gguf, EveryKindOfMetadataValueIsRead) {
  GgufWriter file;
  file.header(0, 14);
  file.text("u8").put<uint32_t>(0).put<uint8_t>(200);
  file.text("i8").put<uint32_t>(1).put<int8_t>(-100);
  file.text("u16").put<uint32_t>(2).put<uint16_t>(60000);
  file.text("i16").put<uint32_t>(3).put<int16_t>(-30000);
  file.text("u32").put<uint32_t>(4).put<uint32_t>(4000000000U);
  file.text("i32").put<uint32_t>(5).put<int32_t>(-2000000000);
  file.text("f32").put<uint32_t>(6).put<float>(0.1F);
  file.text("bool").put<uint32_t>(7).put<uint8_t>(1);
  file.text("string").put<uint32_t>(8).text("caf\xC3\xA9");
  file.text("u64").put<uint32_t>(10).put<uint64_t>(~uint64_t{0});
  file.text("i64").put<uint32_t>(11).put<int64_t>(-1);
  file.text("f64").put<uint32_t>(12).put<double>(0.1);
  file.text("tokens").put<uint32_t>(9).put<uint32_t>(8).put<uint64_t>(2).text("\xFF\xFE").text("");
  file.text("nested").put<uint32_t>(9).put<uint32_t>(9).put<uint64_t>(2);
  file.put<uint32_t>(0).put<uint64_t>(2).put<uint8_t>(1).put<uint8_t>(2).put<uint32_t>(7).put<uint64_t>(0);
  const auto gguf = parse_gguf(file.bytes());
  ASSERT_TRUE(gguf) << gguf.error().text();
  const Json& m = gguf->metadata;
  EXPECT_EQ(m["u8"], 200);
  EXPECT_EQ(m["i8"], -100);
  EXPECT_EQ(m["u16"], 60000);
  EXPECT_EQ(m["i16"], -30000);
  EXPECT_EQ(m["u32"], 4000000000U);
  EXPECT_EQ(m["i32"], -2000000000);
  EXPECT_EQ(m["f32"].get<float>(), 0.1F);
  EXPECT_EQ(m["bool"], true);
  EXPECT_EQ(m["string"], "caf\xC3\xA9");
  EXPECT_EQ(m["u64"].get<uint64_t>(), ~uint64_t{0});
  EXPECT_EQ(m["i64"], -1);
  EXPECT_EQ(m["f64"], 0.1);
  EXPECT_EQ(m["tokens"][0].get_ref<const std::string&>(), "\xFF\xFE");  // tokens need not be UTF-8
  EXPECT_EQ(m["nested"], Json::array({Json::array({1, 2}), Json::array()}));
}

TEST(Gguf, AForeignFileOrVersionIsRefusedByName) {
  EXPECT_THAT(why_not(GgufWriter().raw("PK\x03\x04 and more")), HasSubstr("does not begin with GGUF"));
  EXPECT_THAT(why_not(GgufWriter().header(0, 0, 1)), HasSubstr("GGUF version 1"));
  EXPECT_THAT(why_not(GgufWriter().header(0, 0, 4)), HasSubstr("GGUF version 4"));
  EXPECT_THAT(why_not(GgufWriter().header(0, 0, 0x03000000)), HasSubstr("big-endian"));
}

TEST(Gguf, CountsThatTheFileCannotHoldAreRefusedBeforeAnyAllocation) {
  constexpr uint64_t kHuge = uint64_t{1} << 60;
  EXPECT_THAT(why_not(GgufWriter().header(kHuge, 0).zeros(100)), HasSubstr("cannot hold them"));
  EXPECT_THAT(why_not(GgufWriter().header(0, kHuge).zeros(100)), HasSubstr("cannot hold them"));
  EXPECT_THAT(why_not(GgufWriter().header(0, 1).text("a").put<uint32_t>(9).put<uint32_t>(8).put(kHuge).zeros(64)),
              HasSubstr("an array promises 1152921504606846976 elements"));
  EXPECT_THAT(why_not(GgufWriter().header(0, 1).text("a").put<uint32_t>(8).put(kHuge).zeros(64)),
              HasSubstr("bytes are promised"));
  EXPECT_THAT(why_not(GgufWriter().header(0, 1).put(kHuge).zeros(64)), HasSubstr("name of metadata entry 0"));
  EXPECT_THAT(why_not(GgufWriter().header(1, 0).put(~uint64_t{0}).zeros(64)), HasSubstr("name of tensor 0"));
}

TEST(Gguf, ArraysTogetherHaveALimit) {
  constexpr uint64_t kCount = uint64_t{9} << 20;
  GgufWriter file;
  file.header(0, 2);
  file.text("a").put<uint32_t>(9).put<uint32_t>(0).put(kCount).zeros(kCount);
  file.text("b").put<uint32_t>(9).put<uint32_t>(0).put(kCount).zeros(kCount);
  const auto parsed = parse_gguf(file.bytes());
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Code::kUnsupported);
}

TEST(Gguf, ArraysNestOnlySoDeep) {
  GgufWriter file;
  file.header(0, 1).text("deep").put<uint32_t>(9);
  for (int i = 0; i < 100000; ++i) file.put<uint32_t>(9).put<uint64_t>(1);
  file.put<uint32_t>(0).put<uint64_t>(0);
  EXPECT_THAT(why_not(file), HasSubstr("nest deeper than 8 levels"));
}

TEST(Gguf, ValuesOutsideTheirTypeAreRefused) {
  EXPECT_THAT(why_not(GgufWriter().header(0, 1).text("a").put<uint32_t>(13).zeros(16)), HasSubstr("type 13"));
  EXPECT_THAT(
      why_not(GgufWriter().header(0, 1).text("a").put<uint32_t>(9).put<uint32_t>(77).put<uint64_t>(1).zeros(16)),
      HasSubstr("type 77"));
  EXPECT_THAT(why_not(GgufWriter().header(0, 1).text("a").put<uint32_t>(7).put<uint8_t>(2)), HasSubstr("0 or 1"));
  EXPECT_THAT(why_not(GgufWriter().header(0, 1).text("\xFFkey").put<uint32_t>(7).put<uint8_t>(1)), HasSubstr("UTF-8"));
  for (const uint32_t alignment : {0U, 3U, 48U}) {
    EXPECT_THAT(why_not(GgufWriter().header(0, 1).entry_u32("general.alignment", alignment)),
                HasSubstr("power of two"));
  }
}

TEST(Gguf, NamesGivenTwiceAreRefused) {
  EXPECT_THAT(why_not(GgufWriter().header(0, 2).entry_u32("a", 1).entry_u32("a", 2)), HasSubstr("'a' is given twice"));
}

TEST(Gguf, APartOfASplitModelIsRefusedWithTheRemedy) {
  EXPECT_THAT(why_not(GgufWriter().header(0, 1).entry_u32("split.count", 3)),
              testing::AllOf(HasSubstr("split into 3 files"), HasSubstr("--merge")));
  EXPECT_TRUE(parse_gguf(GgufWriter().header(0, 1).entry_u32("split.count", 1).bytes()));
}

TEST(Gguf, ATensorOfAnUnknownTypeIsRefusedByNameAndNumber) {
  EXPECT_THAT(why_not(GgufWriter().header(1, 0).tensor("blk.0.w", {32}, 16, 0).pad().zeros(64)),
              testing::AllOf(HasSubstr("'blk.0.w'"), HasSubstr("type 16 (IQ2_XXS)")));
  EXPECT_THAT(why_not(GgufWriter().header(1, 0).tensor("w", {32}, 5000, 0).pad().zeros(64)),
              HasSubstr("type 5000 (unknown)"));
}

TEST(Gguf, ImpossibleShapesAreRefused) {
  const auto with_shape = [](const std::vector<uint64_t>& shape, uint32_t type) {
    GgufWriter file;
    file.header(1, 0).tensor("w", shape, type, 0).pad().zeros(256);
    return why_not(file);
  };
  EXPECT_THAT(with_shape({}, 0), HasSubstr("has 0 dimensions"));
  EXPECT_THAT(with_shape({1, 1, 1, 1, 1}, 0), HasSubstr("has 5 dimensions"));
  EXPECT_THAT(with_shape({4, 0}, 0), HasSubstr("dimension 1 of tensor 'w' is 0"));
  EXPECT_THAT(with_shape({uint64_t{1} << 33, uint64_t{1} << 33}, 0), HasSubstr("dimension 1"));
  EXPECT_THAT(with_shape({uint64_t{1} << 62}, 0), HasSubstr("tensor 'w'"));
  EXPECT_THAT(with_shape({uint64_t{1} << 40}, 0), HasSubstr("promises 4398046511104 bytes"));
  EXPECT_THAT(with_shape({33}, 2), HasSubstr("multiples of 32"));
  EXPECT_THAT(with_shape({16, 2}, 2), HasSubstr("multiples of 32"));  // 32 weights, but a row is half a block
  EXPECT_THAT(with_shape({128}, 12), HasSubstr("multiples of 256"));
}

TEST(Gguf, TensorPastTheEndIsAnErrorThatNamesIt) {
  EXPECT_THAT(why_not(GgufWriter().header(1, 0).tensor("w", {8}, 0, 0).pad().zeros(31)),
              HasSubstr("tensor 'w' promises 32 bytes, 31 are left"));
  EXPECT_THAT(why_not(GgufWriter().header(1, 0).tensor("w", {8}, 0, 64).pad().zeros(64)), HasSubstr("0 are left"));
  EXPECT_THAT(why_not(GgufWriter().header(1, 0).tensor("w", {8}, 0, ~uint64_t{31}).pad().zeros(64)),
              HasSubstr("0 are left"));
  EXPECT_THAT(why_not(GgufWriter().header(1, 0).tensor("w", {8}, 0, 0)), HasSubstr("0 are left"));
}

TEST(Gguf, TensorsThatOverlapOrStandAskewAreRefused) {
  EXPECT_THAT(why_not(GgufWriter().header(2, 0).tensor("a", {16}, 0, 0).tensor("b", {8}, 0, 32).pad().zeros(64)),
              testing::AllOf(HasSubstr("'a'"), HasSubstr("'b'"), HasSubstr("overlap")));
  EXPECT_THAT(why_not(GgufWriter().header(1, 0).tensor("w", {8}, 0, 4).pad().zeros(64)), HasSubstr("alignment 32"));
}

TEST(Gguf, AHostileNameIsShownOnOneLine) {
  const std::string message = why_not(
      GgufWriter().header(1, 0).tensor("evil\n\x1B[31mname" + std::string(500, 'x'), {8}, 0, 4).pad().zeros(64));
  EXPECT_EQ(message.find('\n'), message.npos);
  EXPECT_EQ(message.find('\x1B'), message.npos);
  EXPECT_LT(message.size(), 300U);
}

TEST(Gguf, AVocabularyWithoutTensorsIsRead) {
  const auto gguf = parse_gguf(GgufWriter().header(0, 1).entry_u32("a", 1).bytes());
  ASSERT_TRUE(gguf);
  EXPECT_TRUE(gguf->tensors.empty());
}

// A small file with one of everything, for the two tests below.
GgufWriter small_file() {
  GgufWriter file;
  file.header(2, 3).entry_u32("general.alignment", 32).text("tokens").put<uint32_t>(9).put<uint32_t>(8);
  file.put<uint64_t>(2).text("a").text("bc").text("x").put<uint32_t>(6).put(1.0F);
  file.tensor("a", {4, 2}, 0, 0).tensor("b", {64}, 8, 32).pad().zeros(32 + 68);
  return file;
}

TEST(Gguf, CutAnywhereItIsAnErrorAndNeverACrash) {
  const GgufWriter file = small_file();
  ASSERT_TRUE(parse_gguf(file.bytes()));
  for (size_t size = 0; size < file.bytes().size(); ++size) {
    const std::vector<std::byte> cut(file.bytes().begin(), file.bytes().begin() + static_cast<ptrdiff_t>(size));
    ASSERT_FALSE(parse_gguf(cut)) << "cut to " << size << " bytes";
  }
}

TEST(Gguf, AnyByteChangedGivesAFileOrAnError) {
  const GgufWriter file = small_file();
  std::vector<std::byte> changed(file.bytes().begin(), file.bytes().end());
  for (size_t at = 0; at < changed.size(); ++at) {
    const std::byte original = changed[at];
    for (const int value : {0, 1, 0x7F, 0x80, 0xFF, std::to_integer<int>(original) ^ 4}) {
      changed[at] = static_cast<std::byte>(value);
      if (const auto gguf = parse_gguf(changed)) {
        for (const Tensor& t : gguf->tensors) {
          ASSERT_GE(t.bytes.data(), changed.data());
          ASSERT_LE(t.bytes.data() + t.bytes.size(), changed.data() + changed.size());
        }
      }
    }
    changed[at] = original;
  }
}

TEST(Gguf, AFixtureCutAnywhereInItsHeaderIsAnError) {
  const auto file = MappedFile::open(std::string(PHIAL_TESTDATA) + "/golden/phi3-mini-like/model-q4_0.gguf");
  ASSERT_TRUE(file);
  const auto whole = parse_gguf(file->bytes());
  ASSERT_TRUE(whole) << whole.error().text();
  const auto header_size = static_cast<size_t>(whole->tensors.front().bytes.data() - file->bytes().data());
  for (size_t size = 0; size < header_size; size += 7) {
    const std::vector<std::byte> cut(file->bytes().begin(), file->bytes().begin() + static_cast<ptrdiff_t>(size));
    ASSERT_FALSE(parse_gguf(cut)) << "cut to " << size << " bytes";
  }
  ASSERT_FALSE(parse_gguf(file->bytes().first(file->bytes().size() - 32)));
}

}  // namespace
}  // namespace phial::formats
