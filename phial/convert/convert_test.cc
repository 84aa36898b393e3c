#include "phial/convert/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "phial/formats/gguf_writer.h"
#include "phial/formats/image.h"
#include "phial/formats/image_tiles.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/model/clip.h"
#include "phial/model/golden_files.h"
#include "phial/spec/vision_tensors.h"
#include "phial/tensor/half.h"
#include "phial/tokenizer/load.h"

namespace phial::convert {
namespace {

namespace fs = std::filesystem;
using model::golden;
using testing::AllOf;
using testing::HasSubstr;

// A folder of its own for one test.
class Convert : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::replace(name.begin(), name.end(), '/', '_');
    place_ = fs::path(testing::TempDir()) / ("phial_convert_" + name);
    fs::remove_all(place_);
    fs::create_directory(place_);
  }
  void TearDown() override { fs::remove_all(place_); }

  std::string why_not(const fs::path& in, const fs::path& out, const fs::path& projector = {}) const {
    const auto done = convert_model(in, out, {.projector = projector});
    return done ? "it was converted" : done.error().text();
  }
  size_t n_left() const { return static_cast<size_t>(std::distance(fs::directory_iterator(place_), {})); }

  fs::path place_;
};

std::vector<int32_t> some_ids() {
  std::vector<int32_t> ids;
  for (int i = 0; i < 40; ++i) ids.push_back(1 + i * 37 % 350);
  return ids;
}

std::vector<float> logits_of(const fs::path& path, std::span<const int32_t> ids,
                             spec::RopeTable table = spec::RopeTable::kShort) {
  ThreadPool pool(2);
  const auto decoder = model::load_model(path, model::Precision::kExact, pool);
  return decoder == nullptr ? std::vector<float>() : model::run_all(*decoder, ids, table);
}

std::unique_ptr<tokenizer::Tokenizer> tokenizer_of(const fs::path& path) {
  auto opened =
      fs::is_directory(path) ? tokenizer::from_folder(path) : tokenizer::from_gguf(model::open_model(path)->metadata());
  EXPECT_TRUE(opened) << (opened ? "" : opened.error().text());
  return opened ? *std::move(opened) : nullptr;
}

// Without "</s>": what it swallows is told by a folder, and by its text in a GGUF file.
constexpr const char* kTexts[] = {"Hello world, the small model",
                                  "<|user|>\nhello<|end|>\n<|assistant|>\n",
                                  "  two  spaces\n\n\tand a tab <s>",
                                  "Grüße, 世界! \U0001f600 é",
                                  "12345 'quoted' don't",
                                  ""};

void expect_same_tokens(const fs::path& a, const fs::path& b) {
  const auto one = tokenizer_of(a), other = tokenizer_of(b);
  ASSERT_TRUE(one && other);
  for (const char* text : kTexts) {
    for (const bool special : {false, true}) {
      const tokenizer::EncodeOptions options{.parse_special = special, .add_bos = true};
      const auto ids = one->encode(text, options);
      EXPECT_EQ(ids, other->encode(text, options)) << text;
      EXPECT_EQ(one->decode(ids, true), other->decode(ids, true)) << text;
    }
  }
  EXPECT_EQ(one->bos(), other->bos());
  EXPECT_EQ(one->adds_bos(), other->adds_bos());
  EXPECT_EQ(one->end_of_text(), other->end_of_text());
}

class ConvertEvery : public Convert, public testing::WithParamInterface<std::string> {};

TEST_P(ConvertEvery, ModelComputesTheSameOnTheOtherSideAndBack) {
  const fs::path folder = golden(GetParam());
  ASSERT_EQ(why_not(folder, place_ / "there.gguf"), "it was converted");
  ASSERT_EQ(why_not(place_ / "there.gguf", place_ / "back"), "it was converted");
  ASSERT_EQ(why_not(folder / "model.gguf", place_ / "folder/"), "it was converted");
  for (const auto table : {spec::RopeTable::kShort, spec::RopeTable::kLong}) {
    const auto wanted = logits_of(folder, some_ids(), table);
    ASSERT_FALSE(wanted.empty());
    EXPECT_EQ(logits_of(place_ / "there.gguf", some_ids(), table), wanted);
    EXPECT_EQ(logits_of(place_ / "back", some_ids(), table), wanted);
    EXPECT_LE(model::largest_difference(logits_of(place_ / "folder", some_ids(), table),
                                        logits_of(folder / "model.gguf", some_ids(), table)),
              1e-5);
  }
  expect_same_tokens(folder, place_ / "there.gguf");
  expect_same_tokens(folder, place_ / "back");
  expect_same_tokens(folder / "model.gguf", place_ / "folder");
  EXPECT_EQ(n_left(), 3U) << "something was left behind";
}

TEST_P(ConvertEvery, WeightsKeepTheirType) {
  const fs::path folder = golden(GetParam());
  ASSERT_EQ(why_not(folder, place_ / "there.gguf"), "it was converted");
  const auto stored = model::open_model(folder), there = model::open_model(place_ / "there.gguf");
  EXPECT_EQ(there->find("blk.0.ffn_down.weight")->dtype, stored->find("model.layers.0.mlp.down_proj.weight")->dtype);
  EXPECT_EQ(there->find("blk.0.attn_norm.weight")->dtype, tensor::DType::kF32);
}

// Biases, permuted like the rows of q and k; heads that are rotated in part; rotary divisors of any kind.
TEST_F(Convert, BiasesAndPartOfAHeadComeAlong) {
  for (const char* name : {"llama-biased", "phi3-partial"}) {
    const fs::path there = place_ / (std::string(name) + ".gguf"), back = place_ / name;
    std::vector<int32_t> ids = some_ids();
    for (int32_t& id : ids) id %= 131;  // their vocabulary
    ASSERT_EQ(why_not(golden(name), there), "it was converted");
    ASSERT_EQ(why_not(there, back), "it was converted");
    const auto wanted = logits_of(golden(name), ids);
    ASSERT_FALSE(wanted.empty());
    EXPECT_EQ(logits_of(there, ids), wanted) << name;
    EXPECT_LE(model::largest_difference(logits_of(back, ids), wanted), 1e-5) << name;
  }
}

// The folder's rows of q, k, v lie by key-value head, and those of gate and up alternate; GGUF has them in our order.
TEST_F(Convert, SmallGoesThereAndBack) {
  const fs::path folder = golden("phi3-small-like"), there = place_ / "there.gguf", back = place_ / "back";
  ASSERT_EQ(why_not(folder, there), "it was converted");
  ASSERT_EQ(why_not(there, back), "it was converted");
  const auto wanted = logits_of(folder, some_ids());
  ASSERT_FALSE(wanted.empty());
  EXPECT_EQ(logits_of(there, some_ids()), wanted);
  EXPECT_EQ(logits_of(back, some_ids()), wanted);
  const auto first = model::open_model(folder), last = model::open_model(back);
  for (const formats::Tensor& tensor : first->tensors()) {
    const formats::Tensor* found = last->find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_TRUE(std::ranges::equal(found->bytes, tensor.bytes)) << tensor.name;
  }
}

// Everything that its configuration may change.
TEST_F(Convert, AnySmallKeepsItsBlueprint) {
  fs::copy(golden("phi3-small-like"), place_ / "in");
  fs::permissions(place_ / "in/config.json", fs::perms::owner_all);
  Json config = *parse_json(*read_text_file(place_ / "in/config.json"));
  Json factors = Json::array();
  for (int i = 0; i < 8; ++i) factors.push_back(1 + 0.25 * i);
  config.update({{"rope_scaling",
                  {{"type", "su"},
                   {"short_factor", factors},
                   {"long_factor", factors},
                   {"short_mscale", 1.5},
                   {"long_mscale", 1.25},
                   {"original_max_position_embeddings", 32}}},
                 {"mup_use_scaling", false},
                 {"gegelu_limit", nullptr},
                 {"dummy_token_indices", nullptr},
                 {"blocksparse_homo_head_pattern", true},
                 {"dense_attention_every_n_layers", 3}});
  std::ofstream(place_ / "in/config.json") << dump_json(config);
  ASSERT_EQ(why_not(place_ / "in", place_ / "there.gguf"), "it was converted");
  ASSERT_EQ(why_not(place_ / "there.gguf", place_ / "back"), "it was converted");
  for (const auto table : {spec::RopeTable::kShort, spec::RopeTable::kLong}) {
    const auto wanted = logits_of(place_ / "in", some_ids(), table);
    EXPECT_EQ(logits_of(place_ / "there.gguf", some_ids(), table), wanted);
    EXPECT_EQ(logits_of(place_ / "back", some_ids(), table), wanted);
  }
}

std::vector<float> rows_of_picture(const model::ImageEncoder& encoder, const fs::path& picture) {
  const auto image = formats::read_image(picture);
  EXPECT_TRUE(image);
  const auto grid = spec::tile_grid(encoder.spec(), image->width, image->height);
  auto rows =
      encoder.encode(*grid, formats::make_page(*image, grid->width, grid->height, encoder.spec().image_side), {});
  EXPECT_TRUE(rows) << (rows ? "" : rows.error().text());
  return rows ? *std::move(rows) : std::vector<float>();
}

// The eye of the model at `path`, in f32.
std::unique_ptr<model::ImageEncoder> eye_of(const fs::path& path, ThreadPool& pool, const fs::path& projector = {}) {
  const auto eye = model::ImageEncoder::find(model::open_model(path), 64, projector, LoadMode::kMap, no_log);
  EXPECT_TRUE(eye && *eye != nullptr) << (eye ? "it is blind" : eye.error().text());
  if (!eye || *eye == nullptr) return nullptr;
  const auto spec = model::ImageEncoder::read_spec(**eye, 64);
  EXPECT_TRUE(spec) << (spec ? "" : spec.error().text());
  auto encoder = model::ImageEncoder::load(*eye, *spec, model::Precision::kExact, pool);
  EXPECT_TRUE(encoder) << (encoder ? "" : encoder.error().text());
  return encoder ? *std::move(encoder) : nullptr;
}

// Two GGUF files, that of the eye beside the decoder's; both become one folder again.
TEST_F(Convert, AModelThatSeesGoesThereAndBack) {
  const fs::path folder = golden("phi3-vision-like"), there = place_ / "there.gguf", back = place_ / "back";
  ASSERT_EQ(why_not(folder, there), "it was converted");
  EXPECT_TRUE(fs::exists(place_ / "mmproj-there.gguf"));
  ASSERT_EQ(why_not(there, back), "it was converted");
  EXPECT_EQ(n_left(), 3U);
  ThreadPool pool(2);
  const auto wanted = rows_of_picture(*eye_of(folder, pool), folder / "image0.png");
  EXPECT_EQ(rows_of_picture(*eye_of(there, pool), folder / "image0.png"), wanted);
  EXPECT_EQ(rows_of_picture(*eye_of(back, pool), folder / "image0.png"), wanted);
  EXPECT_EQ(logits_of(there, some_ids()), logits_of(folder, some_ids()));
  EXPECT_EQ(logits_of(back, some_ids()), logits_of(folder, some_ids()));
  const auto first = model::open_model(folder), last = model::open_model(back);
  std::set<std::string> eye, wanted_eye;
  for (const formats::Tensor& tensor : last->tensors()) {
    if (tensor.name.starts_with(spec::kVisionPrefix)) eye.insert(tensor.name);
  }
  const auto spec = model::ImageEncoder::read_spec(*first, 64);
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->n_layers, 2) << "of the encoder's three";
  for (const spec::VisionTensor& tensor : spec::vision_tensors(*spec)) wanted_eye.insert(tensor.name);
  EXPECT_EQ(eye, wanted_eye);
  for (const formats::Tensor& tensor : last->tensors()) {
    const formats::Tensor* found = first->find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    EXPECT_EQ(found->shape, tensor.shape) << tensor.name;
    EXPECT_TRUE(std::ranges::equal(found->bytes, tensor.bytes)) << tensor.name;
  }
}

TEST_F(Convert, AnEyeIsFoundBesideALinkedFileAndWhereItIsNamed) {
  ASSERT_EQ(why_not(golden("phi3-vision-like"), place_ / "there.gguf"), "it was converted");
  fs::create_directory(place_ / "linked");
  fs::create_symlink(place_ / "there.gguf", place_ / "linked/other.gguf");
  ThreadPool pool(2);
  EXPECT_NE(eye_of(place_ / "linked/other.gguf", pool), nullptr);
  fs::rename(place_ / "mmproj-there.gguf", place_ / "eye.gguf");
  EXPECT_NE(eye_of(place_ / "there.gguf", pool, place_ / "eye.gguf"), nullptr);
  const auto find = [&](const fs::path& decoder, const fs::path& projector, int width = 64) {
    return model::ImageEncoder::find(model::open_model(decoder), width, projector, LoadMode::kMap, no_log);
  };
  EXPECT_EQ(*find(place_ / "there.gguf", {}), nullptr);
  EXPECT_THAT(find(place_ / "there.gguf", place_ / "there.gguf").error().text(), HasSubstr("no image encoder alone"));
  EXPECT_THAT(find(golden("phi3-vision-like"), place_ / "eye.gguf").error().text(), HasSubstr("of its own"));
}

std::vector<formats::NewTensor> tensors_of(const formats::Checkpoint& checkpoint) {
  std::vector<formats::NewTensor> tensors;
  for (const formats::Tensor& tensor : checkpoint.tensors()) {
    tensors.push_back(
        {tensor.name, tensor.dtype, tensor.shape, {{tensor.dtype, tensor.bytes.data(), tensor.elements()}}});
  }
  return tensors;
}

std::string why_no_eye(const fs::path& projector) {
  const auto eye = model::open_model(projector);
  ThreadPool pool(1);
  const auto loaded =
      model::ImageEncoder::load(eye, *model::ImageEncoder::read_spec(*eye, 64), model::Precision::kExact, pool);
  return loaded ? "it is loaded" : loaded.error().text();
}

TEST_F(Convert, AnEyeOfMoreOrLessThanItsTensorsIsRefusedByName) {
  ASSERT_EQ(why_not(golden("phi3-vision-like"), place_ / "there.gguf"), "it was converted");
  const auto whole = model::open_model(place_ / "mmproj-there.gguf");
  std::vector<formats::NewTensor> tensors = tensors_of(*whole);
  tensors.push_back(tensors.front());
  tensors.back().name = "v.blk.2.ln1.weight";
  ASSERT_TRUE(formats::write_gguf(place_ / "more.gguf", whole->metadata(), tensors, {}));
  EXPECT_THAT(why_no_eye(place_ / "more.gguf"), HasSubstr("'v.blk.2.ln1.weight' has no place"));
  tensors.pop_back();
  std::erase_if(tensors, [](const auto& tensor) { return tensor.name == "v.image_newline"; });
  ASSERT_TRUE(formats::write_gguf(place_ / "half.gguf", whole->metadata(), tensors, {}));
  EXPECT_THAT(why_no_eye(place_ / "half.gguf"), HasSubstr("v.image_newline"));
  fs::rename(place_ / "half.gguf", place_ / "mmproj-there.gguf");
  EXPECT_THAT(why_not(place_ / "there.gguf", place_ / "back"), HasSubstr("v.image_newline"));
}

// A copy of the golden model that sees, one tensor of its eye changed by `change`.
void write_changed(const fs::path& to, const std::string& name,
                   const std::function<void(formats::NewTensor&, std::vector<formats::NewTensor>&)>& change,
                   const Json& stated = Json::object()) {
  const auto whole = model::open_model(golden("phi3-vision-like"));
  fs::create_directory(to);
  for (const auto& entry : fs::directory_iterator(whole->path())) {
    if (entry.path().extension() == ".json") fs::copy(entry.path(), to);
  }
  fs::permissions(to / "config.json", fs::perms::owner_all);
  Json config = whole->metadata();
  config.update(stated);
  std::ofstream(to / "config.json") << dump_json(config);
  std::vector<formats::NewTensor> tensors = tensors_of(*whole), added;
  const auto found = std::ranges::find(tensors, name, &formats::NewTensor::name);
  ASSERT_NE(found, tensors.end());
  change(*found, added);
  std::ranges::move(added, std::back_inserter(tensors));
  ASSERT_TRUE(formats::write_safetensors(to / "model.safetensors", std::move(tensors), {}));
}

TEST_F(Convert, AnEyeInATypeThatHoldsNoWeightsIsRefusedByName) {
  static const std::vector<std::byte> kZeros(1 << 20);
  const std::string clip = spec::kClipPrefix;
  int n = 0;
  for (const std::string& name : {clip + "pre_layrnorm.weight", clip + "encoder.layers.0.mlp.fc1.weight"}) {
    for (const auto type :
         {tensor::DType::kI8, tensor::DType::kI32, tensor::DType::kI64, tensor::DType::kF64, tensor::DType::kBool}) {
      const fs::path in = place_ / std::to_string(++n);
      write_changed(in, name, [type](formats::NewTensor& tensor, auto&) {
        tensor.dtype = type;
        tensor.pieces = {{type, kZeros.data(), tensor.pieces.front().count}};
      });
      EXPECT_THAT(why_not(in, place_ / "out.gguf"),
                  AllOf(HasSubstr(name), HasSubstr(std::string(tensor::info(type).name))));
      EXPECT_FALSE(fs::exists(place_ / "out.gguf") || fs::exists(place_ / "mmproj-out.gguf"));
    }
  }
}

TEST_F(Convert, AnEyesMatrixInFourBitsIsDecoded) {
  const std::string stem = std::string(spec::kClipPrefix) + "encoder.layers.0.mlp.fc1";
  std::vector<uint32_t> words;  // levels, then zero points
  for (uint32_t i = 0; i < 1 << 16; ++i) words.push_back(i * 2654435761U);
  const std::vector<uint16_t> scales(1 << 16, tensor::f32_to_f16(1.0F / 64));
  const auto* bytes = reinterpret_cast<const std::byte*>(words.data());
  write_changed(
      place_ / "in", stem + ".weight",
      [&](formats::NewTensor& tensor, std::vector<formats::NewTensor>& added) {
        const uint64_t out = tensor.shape[0], in = tensor.shape[1];
        const auto add = [&](const char* end, tensor::DType type, uint64_t rows, uint64_t cols, const void* from) {
          added.push_back({stem + end, type, {rows, cols}, {{type, static_cast<const std::byte*>(from), rows * cols}}});
        };
        add(".qzeros", tensor::DType::kI32, in / 8, out / 8, bytes + 4096);
        add(".scales", tensor::DType::kF16, in / 8, out, scales.data());
        tensor.name = stem + ".qweight";
        tensor.dtype = tensor::DType::kI32;
        tensor.shape = {in, out / 8};
        tensor.pieces = {{tensor.dtype, bytes, in * out / 8}};
      },
      {{"quantization_config", {{"quant_method", "awq"}, {"bits", 4}, {"group_size", 8}, {"version", "gemm"}}}});
  ASSERT_TRUE(model::open_model(place_ / "in")->find(stem + ".weight")->int4);
  ASSERT_EQ(why_not(place_ / "in", place_ / "there.gguf"), "it was converted");
  ThreadPool pool(2);
  const fs::path picture = golden("phi3-vision-like") / "image0.png";
  const auto wanted = rows_of_picture(*eye_of(place_ / "in", pool), picture);
  EXPECT_NE(wanted, rows_of_picture(*eye_of(golden("phi3-vision-like"), pool), picture));
  EXPECT_EQ(rows_of_picture(*eye_of(place_ / "there.gguf", pool), picture), wanted);
}

// Only what a person names must fit: other programs call their projectors so too.
TEST_F(Convert, AForeignEyeThatWasFoundByItsNameIsOneWarning) {
  ASSERT_EQ(why_not(golden("phi3-vision-like"), place_ / "there.gguf"), "it was converted");
  const fs::path projector = place_ / "mmproj-there.gguf";
  const auto whole = model::open_model(place_ / "there.gguf");
  std::vector<std::string> warnings;
  const auto find = [&](int width, const fs::path& named) {
    return model::ImageEncoder::find(whole, width, named, LoadMode::kMap,
                                     [&](Severity severity, std::string_view text) {
                                       EXPECT_EQ(severity, Severity::kWarning);
                                       warnings.emplace_back(text);
                                     });
  };
  const auto other_width = find(80, {});
  ASSERT_TRUE(other_width);
  EXPECT_EQ(*other_width, nullptr);
  EXPECT_THAT(warnings, testing::ElementsAre(HasSubstr("for models of width 64")));
  EXPECT_EQ(find(80, projector).error().code, Code::kInvalid);
  {
    const auto eye = model::open_model(projector);
    Json metadata = eye->metadata();
    metadata["clip.projector_type"] = "mlp\n";
    ASSERT_TRUE(formats::write_gguf(place_ / "llava.gguf", metadata, tensors_of(*eye), {}));
  }
  fs::rename(place_ / "llava.gguf", projector);
  warnings.clear();
  const auto llava = find(64, {});
  ASSERT_TRUE(llava);
  EXPECT_EQ(*llava, nullptr);
  EXPECT_THAT(warnings, testing::ElementsAre(HasSubstr("'clip.projector_type' is 'mlp\\x0a'")));
  EXPECT_EQ(find(64, projector).error().code, Code::kUnsupported);
  const auto done = convert_model(place_ / "there.gguf", place_ / "blind");
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_FALSE(done->sees);
  EXPECT_THAT(why_not(place_ / "there.gguf", place_ / "named", projector), HasSubstr("clip.projector_type"));
  // The name of its eye being taken, it would see by that.
  EXPECT_THAT(why_not(place_ / "blind", place_ / "there.gguf"), HasSubstr("is there already"));
  fs::remove(place_ / "there.gguf");
  EXPECT_THAT(why_not(place_ / "blind", place_ / "there.gguf"),
              AllOf(HasSubstr("mmproj-there.gguf"), HasSubstr("is there already")));
}

TEST_F(Convert, TheEyeThatIsNamedComesAlong) {
  const fs::path folder = golden("phi3-vision-like");
  const auto there = convert_model(folder, place_ / "there.gguf");
  ASSERT_TRUE(there);
  EXPECT_TRUE(there->sees);
  EXPECT_EQ(there->projector, place_ / "mmproj-there.gguf");
  fs::rename(place_ / "there.gguf", place_ / "there-q4.gguf");
  const auto blind = convert_model(place_ / "there-q4.gguf", place_ / "blind");
  EXPECT_TRUE(blind && !blind->sees);
  const auto back = convert_model(place_ / "there-q4.gguf", place_ / "back", {.projector = there->projector});
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->sees && back->projector.empty());
  ThreadPool pool(2);
  EXPECT_EQ(rows_of_picture(*eye_of(place_ / "back", pool), folder / "image0.png"),
            rows_of_picture(*eye_of(folder, pool), folder / "image0.png"));
}

INSTANTIATE_TEST_SUITE_P(Families, ConvertEvery,
                         testing::Values("phi3-mini-like", "phi3-medium-like", "phi3-128k-like", "llama-like"),
                         [](const auto& name) {
                           std::string out = name.param;
                           std::erase(out, '-');
                           return out;
                         });

TEST_F(Convert, BlocksAndFourBitsAreDecoded) {
  const fs::path blocks = golden("phi3-mini-like") / "model-q4_0.gguf", four = golden("phi3-int4-like") / "awq";
  ASSERT_EQ(why_not(blocks, place_ / "blocks"), "it was converted");
  EXPECT_EQ(logits_of(place_ / "blocks", some_ids()), logits_of(blocks, some_ids()));
  ASSERT_EQ(why_not(four, place_ / "four.gguf"), "it was converted");
  const std::vector<int32_t> ids = {1, 5, 60, 33, 2};
  EXPECT_EQ(logits_of(place_ / "four.gguf", ids), logits_of(four, ids));
}

TEST_F(Convert, AnOutputThatIsThereIsLeftAlone) {
  const fs::path out = place_ / "out";
  std::ofstream(out) << "mine";
  EXPECT_THAT(why_not(golden("llama-like"), out), HasSubstr("is there already"));
  EXPECT_EQ(fs::file_size(out), 4U);
  EXPECT_THAT(why_not(golden("llama-like"), place_), HasSubstr("is there already"));
}

TEST_F(Convert, WhatIsStoppedLeavesNothing) {
  std::stop_source stop;
  stop.request_stop();
  for (const char* in : {"llama-like", "llama-like/model.gguf"}) {
    const auto done = convert_model(golden(in), place_ / "out", {.stop = stop.get_token()});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::kCancelled);
    EXPECT_EQ(n_left(), 0U);
  }
}

TEST_F(Convert, WhatTheOtherSideCannotExpressIsRefusedByName) {
  fs::copy(golden("llama-like"), place_ / "in");
  fs::permissions(place_ / "in/config.json", fs::perms::owner_all);
  Json config = *parse_json(*read_text_file(place_ / "in/config.json"));
  config["hidden_act"] = "gelu";
  std::ofstream(place_ / "in/config.json") << dump_json(config);
  EXPECT_THAT(why_not(place_ / "in", place_ / "out"), HasSubstr("'gelu' cannot be written into a GGUF file"));
  EXPECT_EQ(n_left(), 1U);
}

}  // namespace
}  // namespace phial::convert
