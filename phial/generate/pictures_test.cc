#include "phial/generate/pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/generate/golden_models_for_test.h"

namespace phial::generate {
namespace {

using testing::HasSubstr;

constexpr double kExact = 1e-3;  // the fixture's own tolerance; a correct implementation lands near 2e-5
constexpr size_t kVocabulary = 384;

const std::filesystem::path kFolder = golden("phi3-vision-like");

Picture picture(const std::string& name) {
  auto image = formats::read_image(kFolder / name);
  EXPECT_TRUE(image) << (image ? "" : image.error().text());
  return std::make_shared<const formats::Image>(*std::move(image));
}

std::vector<Picture> both() { return {picture("image0.png"), picture("image1.png")}; }

Json cases() { return (*parse_json(*read_text_file(kFolder / "expected.json")))["cases"]; }

std::vector<int32_t> ids_of(const Json& one) {
  std::vector<int32_t> ids;
  for (const Json& run : one["prompt_ids_rle"]) ids.insert(ids.end(), run[1].get<size_t>(), run[0].get<int32_t>());
  return ids;
}

std::vector<float> floats(const std::string& name) {
  const auto file = formats::Checkpoint::open(kFolder / "expected.safetensors");
  const formats::Tensor* tensor = file->find(name);
  std::vector<float> out(tensor->elements());
  EXPECT_EQ(tensor->bytes.size(), out.size() * sizeof(float)) << name;
  std::memcpy(out.data(), tensor->bytes.data(), tensor->bytes.size());
  return out;
}

class Seeing : public testing::Test {
 protected:
  std::unique_ptr<Engine> open_engine(model::Precision precision, Drafting drafting = Drafting::kLookup) {
    EngineOptions options;
    options.precision = precision;
    options.drafting = drafting;
    return open(kFolder, pool, options);
  }

  static Generation generate(Engine& engine, std::vector<int32_t> ids, std::vector<Picture> pictures, int n = 8) {
    GenerateRequest request;
    request.ids = std::move(ids);
    request.pictures = std::move(pictures);
    request.max_tokens = n;
    request.ignore_end = true;
    auto result = engine.generate(request, nullptr);
    EXPECT_TRUE(result) << (result ? "" : result.error().text());
    return result ? *std::move(result) : Generation{};
  }

  static std::string why_not(Engine& engine, std::vector<int32_t> ids, std::vector<Picture> pictures) {
    GenerateRequest request;
    request.ids = std::move(ids);
    request.pictures = std::move(pictures);
    request.max_tokens = 1;
    const auto result = engine.generate(request, nullptr);
    return result ? "it answers" : result.error().text();
  }

  ThreadPool pool{2};
};

TEST_F(Seeing, LogitsOfPromptsWithPicturesAreThoseOfTheReference) {
  const auto checkpoint = std::make_shared<const formats::Checkpoint>(*formats::Checkpoint::open(kFolder));
  const auto spec = model::Decoder::read_spec(*checkpoint);
  const auto decoder = model::Decoder::load(checkpoint, *spec, model::Precision::kExact, pool);
  const auto seen = Pictures::open(checkpoint, *spec, model::Precision::kExact, pool);
  ASSERT_TRUE(decoder && seen);
  for (const Json& one : cases()) {
    auto ids = ids_of(one);
    const auto placed = (*seen)->place(ids, both(), {});
    ASSERT_TRUE(placed) << placed.error().text();
    const auto rows = rows_at(ids, *placed);
    auto cache = (*decoder)->make_cache(static_cast<int>(ids.size()));
    std::vector<float> logits;
    ASSERT_TRUE(
        (*decoder)->forward({.ids = ids, .rows = rows, .logits_of = model::LogitsOf::kAll, .cache = &*cache}, logits));
    const std::vector<float> wanted = floats(one["name"].get<std::string>() + ".logits_text_tail");
    const auto tail = std::span(logits).last(8 * kVocabulary);
    for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(tail[i], wanted[i], kExact) << one["name"] << i;
  }
}

TEST_F(Seeing, GreedyAnswersAreThoseOfTheReferenceWithAndWithoutDrafting) {
  for (const Drafting drafting : {Drafting::kOff, Drafting::kLookup}) {
    const auto engine = open_engine(model::Precision::kExact, drafting);
    for (const Json& one : cases()) {
      const std::vector<int32_t> wanted = one["greedy_ids"];
      EXPECT_EQ(generate(*engine, ids_of(one), both(), static_cast<int>(wanted.size())).ids, wanted) << one["name"];
    }
  }
}

TEST_F(Seeing, APromptThatBeginsWithTheSamePictureIsReusedAndOneWithAnotherIsNot) {
  const auto engine = open_engine(model::Precision::kFast);
  const std::vector<int32_t> ids = ids_of(cases()[0]);
  const auto first = generate(*engine, ids, {picture("image0.png")});
  // The same pixels, read anew.
  const auto again = generate(*engine, ids, {picture("image0.png")});
  EXPECT_EQ(again.ids, first.ids);
  EXPECT_EQ(again.reused_tokens, static_cast<int>(ids.size()) - 1);
  const auto other = generate(*engine, ids, {picture("image1.png")});
  EXPECT_EQ(other.reused_tokens, 2);
  EXPECT_EQ(other.ids, generate(*open_engine(model::Precision::kFast), ids, {picture("image1.png")}).ids);
  EXPECT_EQ(generate(*engine, ids, {picture("image0.png")}).ids, first.ids);
}

TEST_F(Seeing, OnePictureMayStandTwiceInAPrompt) {
  const auto engine = open_engine(model::Precision::kFast);
  std::vector<int32_t> ids = ids_of(cases()[2]);
  const auto one = picture("image0.png");
  EXPECT_FALSE(generate(*engine, ids, {one, one}).ids.empty());
}

TEST_F(Seeing, MorePicturesThanAreKeptGiveTheSameAnswers) {
  const auto engine = open_engine(model::Precision::kFast);
  const std::vector<int32_t> ids = ids_of(cases()[0]);
  const auto first = generate(*engine, ids, {picture("image0.png")}, 4);
  for (int shade = 0; shade < 6; ++shade) {
    auto plain = std::make_shared<formats::Image>();
    *plain = {.width = 336, .height = 336, .rgb = std::vector<uint8_t>(336 * 336 * 3, static_cast<uint8_t>(shade))};
    generate(*engine, ids, {plain}, 1);
  }
  EXPECT_EQ(generate(*engine, ids, {picture("image0.png")}, 4).ids, first.ids);
}

TEST_F(Seeing, IdsThatDoNotFitThePicturesAreRefusedWithTheNumbers) {
  const auto engine = open_engine(model::Precision::kFast);
  std::vector<int32_t> ids = ids_of(cases()[0]);
  EXPECT_THAT(why_not(*engine, ids, {}), HasSubstr("picture 1 of 0"));
  EXPECT_THAT(why_not(*engine, {1, INT32_MIN}, both()), HasSubstr("picture 2147483648 of 2"));
  ids.push_back(-1);
  EXPECT_THAT(why_not(*engine, ids, both()), HasSubstr("picture 1 has 757 tokens, 758 ids stand for it"));
}

// The fixture has no tokenizer; the one of its size serves.
TEST_F(Seeing, AMessageWithPicturesInItsTextIsThePromptThatItsPlacesSay) {
  const TempFolder folder;
  for (const char* name : {"config.json", "preprocessor_config.json", "model.safetensors"}) {
    std::filesystem::copy(kFolder / name, folder / name);
  }
  for (const char* name : {"tokenizer.model", "tokenizer_config.json", "added_tokens.json"}) {
    std::filesystem::copy(golden("phi3-mini-like") / name, folder / name);
  }
  const auto engine = open(folder.path(), pool, {});
  const auto answer = [&](std::vector<Message> messages) {
    GenerateRequest request;
    request.messages = std::move(messages);
    request.max_tokens = 8;
    request.ignore_end = true;
    const auto result = engine->generate(request, nullptr);
    EXPECT_TRUE(result) << (result ? "" : result.error().text());
    return result ? result->ids : std::vector<int32_t>();
  };
  const auto one = picture("image0.png"), two = picture("image1.png");
  const auto before = answer({{"user", "What is it?", {one}}});
  EXPECT_EQ(answer({{"user", "\nWhat is it?", {one}, {0}}}), before);
  const auto within = answer({{"user", "What is it?", {one}, {5}}});
  EXPECT_NE(within, before);
  EXPECT_NE(answer({{"user", "What is it?", {two}, {5}}}), within);
  EXPECT_EQ(answer({{"user", "What is it?", {one}, {5}}}), within);
}

TEST_F(Seeing, AModelThatDoesNotSeeRefusesPictures) {
  const auto engine = open(golden("phi3-mini-like"), pool, {});
  EXPECT_THAT(why_not(*engine, {1, 2}, both()), HasSubstr("does not see pictures"));
  GenerateRequest request;
  request.messages = {{"user", "What is this?", both()}};
  const auto result = engine->generate(request, nullptr);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text(), HasSubstr("does not see pictures"));
}

TEST_F(Seeing, AStopWhileThePictureIsEncodedIsNoError) {
  std::stop_source stop;
  stop.request_stop();
  GenerateRequest request;
  request.ids = ids_of(cases()[0]);
  request.pictures = both();
  request.cancel = stop.get_token();
  const auto result = open_engine(model::Precision::kFast)->generate(request, nullptr);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->stop, StopReason::kCancelled);
}

TEST_F(Seeing, TheMemoryPlanCountsTheImageEncoder) {
  const auto engine = open_engine(model::Precision::kExact);
  // 28,480 weights of CLIP's two layers and patches and 12,288 of the projector, in f32, and the scratch of a tile.
  EXPECT_GT(engine->plan().vision_bytes, 160'000U);
  EXPECT_LT(engine->plan().vision_bytes, 4'000'000U + 8'000'000U);
  EXPECT_THAT(engine->plan().text(), HasSubstr("of the image encoder"));
  EXPECT_EQ(open(golden("phi3-mini-like"), pool, {})->plan().vision_bytes, 0U);
}

// Phi-3-vision's own code keeps the word embedding with the image encoder.
TEST_F(Seeing, TheWordEmbeddingMayStandUnderItsOtherName) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "other-name";
  std::filesystem::create_directories(folder);
  for (const char* name : {"config.json", "preprocessor_config.json"}) {
    std::filesystem::copy_file(kFolder / name, folder / name, std::filesystem::copy_options::overwrite_existing);
  }
  std::string weights = *read_text_file(kFolder / "model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, weights.data(), sizeof header);
  Json names = *parse_json(weights.substr(8, header));
  names["model.vision_embed_tokens.wte.weight"] = names["model.embed_tokens.weight"];
  names.erase("model.embed_tokens.weight");
  std::string renamed = names.dump();
  renamed.resize((renamed.size() + 7) / 8 * 8, ' ');
  const uint64_t length = renamed.size();
  weights.replace(0, 8 + header, std::string(reinterpret_cast<const char*>(&length), 8) + renamed);
  ASSERT_TRUE(write_file_atomically(folder / "model.safetensors", std::as_bytes(std::span(weights))));
  EngineOptions options;
  options.precision = model::Precision::kExact;
  const auto engine = open(folder, pool, options);
  ASSERT_NE(engine, nullptr);
  const Json one = cases()[0];
  EXPECT_EQ(generate(*engine, ids_of(one), both(), 16).ids, one["greedy_ids"].get<std::vector<int32_t>>());
}

}  // namespace
}  // namespace phial::generate
