// Errors, options of other versions of the header, and what C hands in.
#include "phial/capi/boundary.h"

#include <gmock/gmock.h>

#include <array>
#include <cstring>

#include "phial/base/utf8.h"
#include "phial/capi/testing.h"

extern "C" const char* phial_c99_test(const char* model_path);

namespace phial::capi {
namespace {

using testing::HasSubstr;

TEST(Header, IsC99AndCDrivesIt) {
  const std::string path = golden("phi3-mini-like");
  EXPECT_STREQ(phial_c99_test(path.c_str()), "");
}

TEST(Version, IsThatOfTheHeader) {
  EXPECT_EQ(phial_abi_version(), PHIAL_ABI_VERSION);
  EXPECT_STRNE(phial_version(), "");
  EXPECT_STRNE(phial_instruction_set(), "");
}

TEST(Codes, EachHasAName) {
  for (int code = PHIAL_OK; code <= PHIAL_INTERNAL; ++code) {
    EXPECT_STRNE(phial_code_name(static_cast<phial_code>(code)), "unknown") << code;
  }
  EXPECT_STREQ(phial_code_name(static_cast<phial_code>(99)), "unknown");
}

TEST(Free, OfNothingDoesNothing) {
  phial_model_free(nullptr);
  phial_session_free(nullptr);
  phial_image_free(nullptr);
  phial_embedder_free(nullptr);
  phial_library_free(nullptr);
  phial_answer_free(nullptr);
  phial_cancel_free(nullptr);
}

TEST(Errors, SayWhichFileAndWhatToDo) {
  phial_model* model = nullptr;
  phial_error error{};
  EXPECT_EQ(phial_model_open("/no/such/model.gguf", nullptr, &model, &error), PHIAL_NOT_FOUND);
  EXPECT_EQ(error.code, PHIAL_NOT_FOUND);
  EXPECT_THAT(error.message, HasSubstr("/no/such/model.gguf"));
  EXPECT_EQ(model, nullptr);
  EXPECT_EQ(phial_model_open("/no/such/model.gguf", nullptr, &model, nullptr), PHIAL_NOT_FOUND);
}

TEST(Errors, AreCutAtACharacter) {
  phial_error error{};
  for (size_t shift = 0; shift < 4; ++shift) {
    std::string long_name(shift, 'x');
    while (long_name.size() < 3000) long_name += "\xF0\x9F\x90\x8B";  // a whale, four bytes
    fail(&error, Error{Code::kInvalid, long_name, "a remedy"});
    EXPECT_TRUE(is_valid_utf8(error.message)) << shift;
    EXPECT_GT(std::strlen(error.message), sizeof error.message - 10);
    EXPECT_LT(std::strlen(error.message), sizeof error.message);
  }
}

TEST(Errors, WhatIsThrownBecomesACode) {
  phial_error error{};
  EXPECT_EQ(guarded(&error, []() -> Status { throw std::bad_alloc(); }), PHIAL_OUT_OF_MEMORY);
  EXPECT_EQ(guarded(&error, []() -> Status { throw std::length_error("so long"); }), PHIAL_OUT_OF_MEMORY);
  EXPECT_EQ(guarded(&error, []() -> Status { throw std::runtime_error("a surprise"); }), PHIAL_INTERNAL);
  EXPECT_STREQ(error.message, "a surprise");
  EXPECT_EQ(guarded(&error, []() -> Status { throw 7; }), PHIAL_INTERNAL);
  EXPECT_EQ(guarded(&error, []() -> Status { return ok(); }), PHIAL_OK);
  EXPECT_EQ(error.code, PHIAL_OK);
}

TEST(Errors, PointersThatAreNullAndTextsThatAreNotUtf8AreInvalid) {
  phial_error error{};
  phial_model* model = nullptr;
  phial_session* session = nullptr;
  phial_embedder* embedder = nullptr;
  phial_library* library = nullptr;
  phial_image* image = nullptr;
  size_t count = 0;
  EXPECT_EQ(phial_model_open(nullptr, nullptr, &model, &error), PHIAL_INVALID);
  EXPECT_EQ(phial_model_open("m", nullptr, nullptr, &error), PHIAL_INVALID);
  EXPECT_EQ(phial_model_open("\xFF", nullptr, &model, &error), PHIAL_INVALID);
  EXPECT_THAT(error.message, HasSubstr("UTF-8"));
  EXPECT_EQ(phial_session_new(nullptr, &session, &error), PHIAL_INVALID);
  EXPECT_EQ(phial_session_complete(nullptr, "x", nullptr, nullptr, nullptr, &error), PHIAL_INVALID);
  EXPECT_EQ(phial_model_tokenize(nullptr, "x", 0, nullptr, 0, &count, &error), PHIAL_INVALID);
  EXPECT_EQ(phial_embedder_open(nullptr, nullptr, &embedder, &error), PHIAL_INVALID);
  EXPECT_EQ(phial_library_open("l.db", nullptr, nullptr, &library, &error), PHIAL_INVALID);
  EXPECT_EQ(phial_image_open("\xC3(", &image, &error), PHIAL_INVALID);
  EXPECT_EQ(phial_image_from_bytes("nothing", 7, &image, &error), PHIAL_UNSUPPORTED);
  EXPECT_EQ(phial_embedder_dimension(nullptr), 0U);
  EXPECT_STREQ(phial_answer_json(nullptr), "");
}

TEST(Options, OfAnOlderHeaderAreReadAndThoseOfANewerOneUnlessTheyAreUnknown) {
  struct Newer {
    phial_embedder_options known;
    int64_t added;
  } newer{};
  newer.known.size = sizeof newer;
  newer.known.threads = 3;
  const auto read = read_options(&newer.known, sizeof(phial_embedder_options));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->threads, 3);
  newer.added = 1;
  EXPECT_EQ(read_options(&newer.known, sizeof(phial_embedder_options)).error().code, Code::kUnsupported);

  // As if `exact` and `copy` had come later.
  phial_embedder_options older{};
  older.size = offsetof(phial_embedder_options, exact);
  older.threads = 2;
  older.exact = 1;
  const auto short_one = read_options(&older, older.size);
  ASSERT_TRUE(short_one);
  EXPECT_EQ(short_one->threads, 2);
  EXPECT_EQ(short_one->exact, 0);

  EXPECT_EQ(read_options(&older, sizeof older).error().code, Code::kInvalid);
  older.size = SIZE_MAX;
  EXPECT_EQ(read_options(&older, 8).error().code, Code::kInvalid);
  ASSERT_TRUE(read_options<phial_embedder_options>(nullptr, 8));
}

TEST(Results, AreWrittenAsFarAsTheHeaderOfTheCallerHasThem) {
  phial_library_info whole{};
  whole.size = offsetof(phial_library_info, documents);
  whole.documents = -7;
  auto told = defaults<phial_library_info>();
  told.files = 1;
  told.failed_files = 2;
  told.documents = 3;
  EXPECT_TRUE(write_info(told, whole.size, &whole));
  EXPECT_EQ(whole.files, 1);
  EXPECT_EQ(whole.failed_files, 2);
  EXPECT_EQ(whole.documents, -7);
  EXPECT_EQ(whole.size, offsetof(phial_library_info, documents));
}

}  // namespace
}  // namespace phial::capi
