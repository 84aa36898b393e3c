// Positions go through the decoder in pieces, so that a long text can be stopped and its progress shown.

#include "phial/base/json.h"
#include "phial/base/utf8.h"
#include "phial/cli/compute_flags.h"
#include "phial/cli/home.h"
#include "phial/cli/input.h"
#include "phial/cli/pictures.h"
#include "phial/cli/verbs.h"
#include "phial/formats/npy.h"
#include "phial/generate/open_tokenizer.h"
#include "phial/generate/pictures.h"
#include "phial/model/decoder.h"
#include "phial/spec/rope.h"

namespace phial::cli {
namespace {

constexpr size_t kPieceTokens = 256;

struct Logits : Command {
  std::optional<std::string> model, text, ids_list, projector;
  PictureFlags images;
  std::string out;
  bool json = false;
  ComputeFlags compute{.precision = "exact"};

  void describe(Flags& flags) override {
    flags.add("-m,--model", &model, "M", "a GGUF file, a Hugging Face folder, or a known name")
        .offers(Completes::kModel);
    flags.add("--ids", &ids_list, "LIST", "token ids, 1,2,3 or @FILE");
    images.describe(flags, "with --ids: a picture; id -k stands for one token of the k-th. May be repeated");
    add_projector_flag(flags, projector);
    flags.add("-p,--prompt", &text, "TEXT", "a text, tokenized as the model's prompts are");
    flags.add("--out", &out, "FILE", "the .npy file to write").offers(Completes::kPath).must();
    flags.add("--json", json, "one JSON object: out, shape");
    compute.describe(flags);
    compute.describe_kv(flags);
  }
  Status check() override {
    if (text.has_value() == ids_list.has_value()) {
      return Error{Code::kInvalid, text ? "both --ids and -p were given" : "no tokens were given",
                   "give one of --ids LIST and -p TEXT"};
    }
    PHIAL_CHECKED(compute.check_kv());
    if (text && !images.files.empty()) {
      return Error{Code::kInvalid, "--image without --ids", "give the ids in which -k stands for the k-th picture"};
    }
    return check_ids(ids_list, images.files.size());
  }

  Result<std::vector<int32_t>> tokens(const std::filesystem::path& path) const {
    if (ids_list) return read_ids(*ids_list, images.files.size());
    PHIAL_TRY(const auto tokenizer, generate::open_tokenizer(path));
    auto ids = tokenizer->encode(*text, {.parse_special = true, .add_bos = tokenizer->adds_bos()});
    if (ids.empty()) return Error{Code::kInvalid, "the text has no tokens (--prompt)", "give a longer one"};
    return ids;
  }

  // Sees the pictures; `ids` then name their rows.
  Result<generate::PictureRows> see(const std::filesystem::path& path, ThreadPool& pool, Console& console,
                                    std::vector<int32_t>& ids) const {
    if (images.files.empty()) return generate::PictureRows();
    PHIAL_TRY(const auto given, images.read());
    PHIAL_TRY(auto opened, formats::Checkpoint::open(path, compute.load_mode()));
    const auto checkpoint = std::make_shared<const formats::Checkpoint>(std::move(opened));
    PHIAL_TRY(const spec::DecoderSpec spec, model::Decoder::read_spec(*checkpoint, compute.window_extra));
    PHIAL_TRY(const auto eye, model::ImageEncoder::find(checkpoint, spec.hidden_dim, projector.value_or(""),
                                                        compute.load_mode(), console.log()));
    PHIAL_TRY(const auto pictures, generate::Pictures::open(eye, spec, compute.chosen_precision(), pool));
    if (!pictures) {
      return Error{Code::kInvalid, "the model does not see pictures (" + path.string() + ")",
                   "name one that does, such as Phi-3-vision, in GGUF with its projector file"};
    }
    return pictures->place(ids, given, console.stopped());
  }

  Status run(Console& console) override {
    PHIAL_TRY(const auto path, find_model(model, ModelUse::kAnswers));
    PHIAL_TRY(auto ids, tokens(path));
    ThreadPool pool(compute.threads);
    PHIAL_TRY(const auto seen, see(path, pool, console, ids));
    const int n_tokens = static_cast<int>(ids.size());
    PHIAL_TRY(const auto decoder,
              compute.load_decoder(path, {.context_tokens = n_tokens, .keeps_logits = true}, pool, console.log()));
    const spec::DecoderSpec& spec = decoder->spec();
    PHIAL_TRY(model::KvCache cache, decoder->make_cache(n_tokens, compute.chosen_kv()));
    const auto table = spec::choose_rope_table(spec, spec::RopePolicy::kDynamic, n_tokens);

    std::vector<float> all, piece;
    all.reserve(ids.size() * static_cast<size_t>(spec.vocab_size));
    for (size_t at = 0; at < ids.size(); at += kPieceTokens) {
      if (console.stopped().stop_requested()) return Error{Code::kCancelled, "stopped", ""};
      const size_t count = std::min(kPieceTokens, ids.size() - at);
      const auto part = std::span(ids).subspan(at, count);
      const auto rows = generate::rows_at(part, seen);
      PHIAL_CHECKED(decoder->forward(
          {.ids = part, .rows = rows, .table = table, .logits_of = model::LogitsOf::kAll, .cache = &cache}, piece));
      all.insert(all.end(), piece.begin(), piece.end());
      console.progress("logits: " + std::to_string(at + count) + " of " + std::to_string(ids.size()) + " tokens");
    }
    const uint64_t shape[] = {ids.size(), static_cast<uint64_t>(spec.vocab_size)};
    PHIAL_CHECKED(formats::write_npy(out, shape, all));
    if (json) console.write(dump_json({{"out", out}, {"shape", shape}}) + "\n");
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_logits() { return std::make_unique<Logits>(); }

}  // namespace phial::cli
