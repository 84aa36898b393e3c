// `phial models show`: what a person wants to know of a model before running it.

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <memory>
#include <optional>

#include "phial/base/bytes_text.h"
#include "phial/base/decimal.h"
#include "phial/base/thread_pool.h"
#include "phial/cli/home.h"
#include "phial/cli/pictures.h"
#include "phial/cli/verbs.h"
#include "phial/formats/checkpoint.h"
#include "phial/generate/chat.h"
#include "phial/generate/open_tokenizer.h"
#include "phial/generate/pictures.h"
#include "phial/model/clip.h"
#include "phial/model/decoder.h"
#include "phial/spec/spec.h"

namespace phial::cli {
namespace fs = std::filesystem;
namespace {

// GGUF says it; a folder has it in the front matter of its model card ("license: mit"), or a LICENSE file.
std::optional<std::string> licence_of(const formats::Checkpoint& checkpoint) {
  if (const std::string* stated = find_string(checkpoint.metadata(), "general.license")) return *stated;
  if (checkpoint.kind() == formats::CheckpointKind::kGguf) return std::nullopt;
  constexpr std::string_view kKey = "license:";
  std::ifstream card(checkpoint.folder() / "README.md");
  std::string line;
  if (std::getline(card, line) && line.starts_with("---")) {
    while (std::getline(card, line) && !line.starts_with("---")) {
      if (!line.starts_with(kKey)) continue;
      const size_t value = line.find_first_not_of(" \"'", kKey.size());
      if (value != line.npos) return line.substr(value, line.find_last_not_of(" \"'\r") + 1 - value);
    }
  }
  std::ifstream text(checkpoint.folder() / "LICENSE");
  while (std::getline(text, line)) {
    const size_t first = line.find_first_not_of(" \t\r");
    if (first != line.npos) return line.substr(first);
  }
  return std::nullopt;
}

// Whose words a conversation is put into; nullopt where there is no tokenizer to say it with.
std::optional<std::string> template_of(const formats::Checkpoint& checkpoint) {
  const auto tokenizer = generate::open_tokenizer(checkpoint.path());
  if (!tokenizer) return std::nullopt;
  const auto facts = generate::read_chat_facts(checkpoint);
  if (facts && !facts->template_text.empty()) return "the model's own";
  return "built in: " + std::string(generate::builtin_format(**tokenizer).family);
}

// What it takes in fast precision, for contexts from 1,024 tokens up to the model's own.
Json memory_of(const formats::Checkpoint& checkpoint, const formats::Checkpoint* eye, const spec::DecoderSpec& spec) {
  Json table = Json::array();
  const auto vision = generate::Pictures::bytes(eye, spec, model::Precision::kFast, usable_cores());
  std::vector<int> contexts;
  for (int context = 1024; context < spec.context; context *= 4) contexts.push_back(context);
  contexts.push_back(spec.context);
  for (const int context : contexts) {
    Json row = {{"context", context}};
    for (const auto kv : {model::KvType::kF16, model::KvType::kQ8, model::KvType::kQ4}) {
      const auto plan =
          model::Decoder::plan(checkpoint, spec, model::Precision::kFast, usable_cores(),
                               {.context_tokens = context, .kv = kv, .vision_bytes = vision ? *vision : 0});
      if (plan) row[std::string("bytes_") + model::name_of(kv)] = plan->total_bytes();
    }
    table.push_back(std::move(row));
  }
  return table;
}

// `eye`: null for a model that does not see.
Json facts_of(const formats::Checkpoint& checkpoint, const formats::Checkpoint* eye) {
  std::map<std::string, uint64_t> elements_by_type;
  uint64_t parameters = 0, bytes = 0;
  for (const auto& tensor : checkpoint.tensors()) {
    elements_by_type[std::string(tensor::info(tensor.dtype).name)] += tensor.elements();
    parameters += tensor.elements();
    bytes += tensor.bytes.size();
  }
  const auto licence = licence_of(checkpoint);
  Json told = {
      {"path", checkpoint.path().string()},
      {"format", checkpoint.kind() == formats::CheckpointKind::kGguf ? "gguf" : "huggingface"},
      {"bytes", checkpoint.total_bytes()},
      {"tensors", checkpoint.tensors().size()},
      {"parameters", parameters},
      {"bits_per_weight", parameters == 0 ? 0.0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(parameters)},
      {"elements_by_type", elements_by_type},
      {"licence", licence ? Json(one_line(*licence)) : Json()}};
  if (const auto spec = model::Decoder::read_spec(checkpoint)) {
    const auto chat_template = template_of(checkpoint);
    told.update({{"runs", "answers"},
                 {"architecture", spec->architecture},
                 {"name", spec->name},
                 {"layers", spec->n_layers},
                 {"width", spec->hidden_dim},
                 {"ffn_width", spec->ffn_dim},
                 {"heads", spec->n_heads},
                 {"kv_heads", spec->n_kv_heads},
                 {"head_width", spec->head_dim},
                 {"vocabulary", spec->vocab_size},
                 {"context", spec->context},
                 {"sliding_window", spec->sliding_window},
                 {"sees", eye != nullptr},
                 {"projector", eye == nullptr || eye == &checkpoint ? Json() : Json(eye->path().string())},
                 {"template", chat_template ? Json(*chat_template) : Json()},
                 {"memory", memory_of(checkpoint, eye, *spec)}});
  } else if (const auto encoder = spec::encoder_from_config(checkpoint.metadata());
             checkpoint.kind() == formats::CheckpointKind::kHuggingFace && encoder) {
    told.update({{"runs", "search"},
                 {"architecture", "bert"},
                 {"name", encoder->name},
                 {"layers", encoder->n_layers},
                 {"width", encoder->hidden_dim},
                 {"ffn_width", encoder->ffn_dim},
                 {"heads", encoder->n_heads},
                 {"context", encoder->max_tokens},
                 {"vocabulary", encoder->vocab_size}});
  } else {
    told.update({{"runs", nullptr}, {"why_not", one_line(spec.error().text())}});
  }
  return told;
}

// "3.82 billion", "134.5 million".
std::string count_text(uint64_t count) {
  const auto number = static_cast<double>(count);
  if (count >= 1'000'000'000) return decimal("%.2f billion", number / 1e9);
  if (count >= 1'000'000) return decimal("%.1f million", number / 1e6);
  return std::to_string(count);
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : dump_json(value); }

class Sheet {
 public:
  void row(std::string label, const std::string& text) {
    label.resize(14, ' ');
    page_ += label + text + "\n";
  }
  const std::string& page() const { return page_; }

 private:
  std::string page_;
};

std::string shape_text(const Json& told) {
  std::string text = text_of(told["layers"]) + " of width " + text_of(told["width"]) + ", feed-forward " +
                     text_of(told["ffn_width"]) + ", " + text_of(told["heads"]) + " heads";
  if (told.contains("head_width")) {
    text += " of " + text_of(told["head_width"]) + ", " + text_of(told["kv_heads"]) + " for keys and values";
  }
  return text;
}

std::string types_text(const Json& told) {
  std::string text;
  for (const auto& [type, elements] : told["elements_by_type"].items()) {
    text += (text.empty() ? "" : ", ") + count_text(elements.get<uint64_t>()) + " in " + type;
  }
  return text + "; " + decimal("%.2f bits a weight", told["bits_per_weight"].get<double>());
}

void add_memory(const Json& memory, Sheet& sheet) {
  const auto line = [](const std::string& context, const std::array<std::string, 3>& columns) {
    std::string text = context;
    text.resize(16, ' ');
    for (const std::string& column : columns)
      text += std::string(10 - std::min<size_t>(column.size(), 10), ' ') + column;
    return text;
  };
  sheet.row("memory", line("context", {"--kv f16", "q8", "q4"}));
  for (const Json& row : memory) {
    const auto bytes = [&](const char* key) { return row.contains(key) ? bytes_text(row[key].get<uint64_t>()) : "?"; };
    sheet.row("",
              line(text_of(row["context"]) + " tokens", {bytes("bytes_f16"), bytes("bytes_q8"), bytes("bytes_q4")}));
  }
}

std::string page_of(const Json& told) {
  Sheet sheet;
  const bool is_gguf = told["format"] == "gguf";
  sheet.row("file", text_of(told["path"]) + " (" + (is_gguf ? "GGUF" : "Hugging Face folder") + ", " +
                        bytes_text(told["bytes"].get<uint64_t>()) + ")");
  if (told["runs"].is_null()) {
    sheet.row("runs", "no: " + text_of(told["why_not"]));
    sheet.row("weights", types_text(told));
    return sheet.page();
  }
  sheet.row("name", text_of(told["name"]));
  const char* use = told["runs"] == "search" ? ", finds passages"
                    : told["sees"] == true   ? ", writes answers, sees pictures"
                                             : ", writes answers";
  sheet.row("family", text_of(told["architecture"]) + use);
  if (told.contains("projector") && !told["projector"].is_null()) sheet.row("sees by", text_of(told["projector"]));
  sheet.row("parameters", count_text(told["parameters"].get<uint64_t>()));
  sheet.row("weights", types_text(told));
  sheet.row("layers", shape_text(told));
  sheet.row("vocabulary", text_of(told["vocabulary"]) + " tokens");
  std::string context = text_of(told["context"]) + " tokens";
  if (told.contains("sliding_window") && told["sliding_window"] != 0 && told["sliding_window"] < told["context"]) {
    context += ", of which a token sees " + text_of(told["sliding_window"]);
  }
  sheet.row("context", context);
  if (told.contains("template"))
    sheet.row("template", told["template"].is_null() ? "none: it has no tokenizer" : text_of(told["template"]));
  sheet.row("licence", told["licence"].is_null() ? "not stated" : text_of(told["licence"]));
  if (told.contains("memory")) add_memory(told["memory"], sheet);
  return sheet.page();
}

struct ModelsShow : Command {
  std::string name;
  std::optional<std::string> projector;
  bool json = false;
  void describe(Flags& flags) override {
    flags.argument("MODEL", &name, "a path or a known name").offers(Completes::kModel).must();
    add_projector_flag(flags, projector);
    flags.add("--json", json, "one JSON object");
  }

  Status run(Console& console) override {
    PHIAL_TRY(const fs::path path, find_model(name, ModelUse::kAnswers));
    PHIAL_TRY(auto opened, formats::Checkpoint::open(path));
    const auto checkpoint = std::make_shared<const formats::Checkpoint>(std::move(opened));
    std::shared_ptr<const formats::Checkpoint> eye;
    if (const auto spec = model::Decoder::read_spec(*checkpoint)) {
      PHIAL_TRY(eye, model::ImageEncoder::find(checkpoint, spec->hidden_dim, projector.value_or(""), LoadMode::kMap,
                                               console.log()));
    }
    const Json told = facts_of(*checkpoint, eye.get());
    console.write(json ? dump_json(told) + "\n" : page_of(told));
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_models_show() { return std::make_unique<ModelsShow>(); }

}  // namespace phial::cli
