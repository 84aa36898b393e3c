#include "phial/base/utf8.h"
#include "phial/cli/home.h"
#include "phial/cli/input.h"
#include "phial/cli/verbs.h"
#include "phial/generate/open_tokenizer.h"

namespace phial::cli {
namespace {

struct Tokenize : Command {
  std::optional<std::string> model;
  TextInput input;
  bool special = false, ids_only = false, bos = false, decode = false, json = false;

  void describe(Flags& flags) override {
    flags.add("-m,--model", &model, "M", "the model whose vocabulary is used").offers(Completes::kModel);
    input.describe(flags, "the text (with --decode: the ids)");
    flags.add("--special", special, "read special tokens' text as those tokens; with --decode: show them");
    flags.add("--ids", ids_only, "print ids only, separated by spaces, on one line");
    flags.add("--bos", bos, "begin with the beginning-of-text token");
    flags.add("--decode", decode, "turn ids into text");
    flags.add("--json", json, "one JSON object: ids and tokens, or text");
  }
  Status check() override {
    if (decode) input.take_word_as_text();
    return input.check(false);
  }

  Status run(Console& console) override {
    PHIAL_TRY(const auto path, find_model(model, ModelUse::kAnswers));
    PHIAL_TRY(const auto tokenizer, generate::open_tokenizer(path));
    PHIAL_TRY(const std::string text, input.read());
    if (decode) return write_text(console, *tokenizer, text);

    const auto ids = tokenizer->encode(text, {.parse_special = special, .add_bos = bos});
    std::string out;
    if (json) {
      Json tokens = Json::array();
      for (const auto id : ids) tokens.push_back(repair_utf8(tokenizer->bytes_of(id, true)));
      out = dump_json({{"ids", ids}, {"tokens", tokens}}) + "\n";
    } else if (ids_only) {
      for (const auto id : ids) out += (out.empty() ? "" : " ") + std::to_string(id);
      out += "\n";
    } else {
      for (const auto id : ids) {
        const Json shown = repair_utf8(tokenizer->bytes_of(id, true));
        out += std::to_string(id) + "\t" + dump_json(shown) + "\n";
      }
    }
    console.write(out);
    return ok();
  }

  Status write_text(Console& console, const tokenizer::Tokenizer& tokenizer, const std::string& list) const {
    std::vector<int32_t> ids;
    if (list.find_first_not_of(" \t\r\n,[]") != std::string::npos) {
      PHIAL_TRY(ids, parse_ids(list, "--decode"));
    }
    for (const int32_t id : ids) {
      if (id < tokenizer.vocab_size()) continue;
      return Error{Code::kInvalid,
                   "token id " + std::to_string(id) + " is outside the vocabulary of " +
                       std::to_string(tokenizer.vocab_size()) + " tokens (--decode)",
                   "name the model that made the ids with --model"};
    }
    const std::string text = tokenizer.decode(ids, special);
    console.write(json ? dump_json({{"text", repair_utf8(text)}}) + "\n"
                       : text + (console.output_is_terminal() ? "\n" : ""));
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_tokenize() { return std::make_unique<Tokenize>(); }

}  // namespace phial::cli
