#include "phial/train/event_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "phial/base/mapped_file.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// What the tests read with shares nothing with the code that writes: the sum goes bit by bit, messages are views.

uint32_t bitwise_crc32c(std::string_view text) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : text) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
  }
  return ~crc;
}

uint32_t masked(uint32_t crc) { return std::rotr(crc, 15) + 0xA282EAD8; }

template <class T>
T front_of(std::string_view text) {
  T value{};
  if (text.size() < sizeof value) {
    ADD_FAILURE() << "the text ends early";
  } else {
    text.copy(reinterpret_cast<char*>(&value), sizeof value);
  }
  return value;
}

std::string_view cut(std::string_view& text, size_t bytes) {
  EXPECT_LE(bytes, text.size());
  const std::string_view front = text.substr(0, bytes);
  text.remove_prefix(front.size());
  return front;
}

uint64_t cut_varint(std::string_view& text) {
  uint64_t value = 0;
  for (int shift = 0; !text.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(cut(text, 1)[0]);
    value |= uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) break;
  }
  return value;
}

struct ProtoField {
  uint64_t number = 0, integer = 0;
  std::string_view bytes;  // of every type but a varint
};

std::vector<ProtoField> fields_of(std::string_view message) {
  std::vector<ProtoField> fields;
  while (!message.empty()) {
    const uint64_t key = cut_varint(message);
    ProtoField& field = fields.emplace_back(ProtoField{.number = key >> 3, .bytes = {}});
    switch (key & 7) {
      case 0:
        field.integer = cut_varint(message);
        break;
      case 1:
        field.bytes = cut(message, 8);
        break;
      case 2: {
        const uint64_t length = cut_varint(message);
        field.bytes = cut(message, length);
        break;
      }
      case 5:
        field.bytes = cut(message, 4);
        break;
      default:
        ADD_FAILURE() << "wire type " << (key & 7);
        return fields;
    }
  }
  return fields;
}

struct DecodedEvent {
  double wall_time = 0;
  int64_t step = 0;
  std::string version;
  std::vector<std::pair<std::string, float>> scalars;
};

std::pair<std::string, float> decode_scalar(std::string_view value) {
  std::pair<std::string, float> out;
  for (const ProtoField& field : fields_of(value)) {
    if (field.number == 1) out.first = field.bytes;
    if (field.number == 2) out.second = front_of<float>(field.bytes);
  }
  return out;
}

DecodedEvent decode_event(std::string_view message) {
  DecodedEvent event;
  for (const ProtoField& field : fields_of(message)) {
    if (field.number == 1) event.wall_time = front_of<double>(field.bytes);
    if (field.number == 2) event.step = static_cast<int64_t>(field.integer);
    if (field.number == 3) event.version = field.bytes;
    if (field.number != 5) continue;
    for (const ProtoField& value : fields_of(field.bytes)) event.scalars.push_back(decode_scalar(value.bytes));
  }
  return event;
}

class EventFileTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  EventFile open(uint64_t bytes) const {
    auto file = EventFile::open(path_, bytes);
    EXPECT_TRUE(file) << file.error().text();
    return *std::move(file);
  }

  // Every record of the file, its sums checked.
  std::vector<DecodedEvent> events() const {
    const std::string file = *read_text_file(path_);
    std::vector<DecodedEvent> out;
    for (std::string_view left = file; !left.empty();) {
      const std::string_view length = cut(left, 8);
      EXPECT_EQ(front_of<uint32_t>(cut(left, 4)), masked(bitwise_crc32c(length)));
      const std::string_view message = cut(left, front_of<uint64_t>(length));
      EXPECT_EQ(front_of<uint32_t>(cut(left, 4)), masked(bitwise_crc32c(message)));
      out.push_back(decode_event(message));
    }
    return out;
  }
  std::vector<int64_t> logged_steps() const {
    std::vector<int64_t> out;
    for (const DecodedEvent& event : events()) {
      if (!event.scalars.empty()) out.push_back(event.step);
    }
    return out;
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) /
      (std::string("phial_events_") + testing::UnitTest::GetInstance()->current_test_info()->name());
  const fs::path path_ = folder_ / "events.out.tfevents.0.phial";
};

TEST(Crc32c, IsThatOfThePublishedVectors) {
  std::string rising;
  for (int i = 0; i < 32; ++i) rising.push_back(static_cast<char>(i));
  const std::string falling(rising.rbegin(), rising.rend());
  const auto sum = [](std::string_view text) { return crc32c(std::as_bytes(std::span(text))); };
  EXPECT_EQ(sum(std::string(32, '\0')), 0x8A9136AA);  // RFC 3720, B.4
  EXPECT_EQ(sum(std::string(32, '\xFF')), 0x62A8AB43);
  EXPECT_EQ(sum(rising), 0x46DD794E);
  EXPECT_EQ(sum(falling), 0x113FDB5C);
  EXPECT_EQ(sum("123456789"), 0xE3069283);  // the check value that catalogues of CRCs give
  EXPECT_EQ(sum(""), 0U);
}

TEST_F(EventFileTest, ANewFileBeginsWithTheVersion) {
  const EventFile file = open(0);
  EXPECT_EQ(file.bytes(), fs::file_size(path_));
  const auto found = events();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].version, "brain.Event:2");
  EXPECT_GT(found[0].wall_time, 1.7e9);
  EXPECT_THAT(found[0].scalars, IsEmpty());
}

TEST_F(EventFileTest, ARecordHasItsStepItsTimeAndItsValues) {
  EventFile file = open(0);
  const std::string long_name(300, 'n');  // its length takes two bytes
  const std::vector<std::pair<std::string, double>> values = {{"loss", 3.25}, {"größe", -1e-3}, {long_name, 1e9}};
  ASSERT_TRUE(file.append(int64_t{1} << 40, 1234567890.125, values));
  ASSERT_TRUE(file.append(-1, 0, {}));
  EXPECT_EQ(file.bytes(), fs::file_size(path_));
  const auto found = events();
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[1].step, int64_t{1} << 40);
  EXPECT_EQ(found[1].wall_time, 1234567890.125);
  EXPECT_THAT(found[1].scalars, ElementsAre(Pair("loss", 3.25F), Pair("größe", -1e-3F), Pair(long_name, 1e9F)));
  EXPECT_EQ(found[2].step, -1);
  EXPECT_THAT(found[2].scalars, IsEmpty());
}

TEST_F(EventFileTest, ValuesThatAreNotFiniteStayWhatTheyAre) {
  EventFile file = open(0);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<std::string, double>> values = {{"a", std::nan("")}, {"b", kInfinity}, {"c", -kInfinity}};
  ASSERT_TRUE(file.append(1, 0, values));
  const auto scalars = events().back().scalars;
  ASSERT_EQ(scalars.size(), 3U);
  EXPECT_TRUE(std::isnan(scalars[0].second));
  EXPECT_EQ(scalars[1].second, kInfinity);
  EXPECT_EQ(scalars[2].second, -kInfinity);
}

TEST_F(EventFileTest, ARunThatGoesOnCutsOffWhatCameAfterItsSnapshot) {
  const std::vector<std::pair<std::string, double>> values = {{"loss", 2}};
  uint64_t of_snapshot = 0;
  {
    EventFile file = open(0);
    ASSERT_TRUE(file.append(1, 10, values));
    ASSERT_TRUE(file.append(2, 11, values));
    of_snapshot = file.bytes();
    ASSERT_TRUE(file.append(3, 12, values));
    ASSERT_TRUE(file.append(4, 13, values));
  }
  EventFile file = open(of_snapshot);
  EXPECT_EQ(file.bytes(), of_snapshot);
  EXPECT_THAT(logged_steps(), ElementsAre(1, 2));
  ASSERT_TRUE(file.append(3, 20, values));
  EXPECT_THAT(logged_steps(), ElementsAre(1, 2, 3));
  EXPECT_EQ(file.bytes(), fs::file_size(path_));
  EXPECT_EQ(events().front().version, "brain.Event:2");
}

TEST_F(EventFileTest, AFileThatIsGoneOrShorterThanItWasBeginsAgain) {
  const std::vector<std::pair<std::string, double>> values = {{"loss", 2}};
  uint64_t before = 0;
  {
    EventFile file = open(0);
    ASSERT_TRUE(file.append(1, 10, values));
    before = file.bytes();
  }
  fs::resize_file(path_, before - 3);
  for (int i = 0; i < 2; ++i) {
    EventFile file = open(before);
    ASSERT_TRUE(file.append(7, 10, values));
    EXPECT_THAT(logged_steps(), ElementsAre(7));
    EXPECT_EQ(events().front().version, "brain.Event:2");
    fs::remove(path_);
  }
}

TEST_F(EventFileTest, AFolderThatIsNotThereIsAnErrorThatNamesTheFile) {
  const auto file = EventFile::open(folder_ / "no" / "events", 0);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Code::kNotFound);
  EXPECT_THAT(file.error().message, HasSubstr("no/events"));
}

}  // namespace
}  // namespace phial::train
