#include "phial/cli/grounding.h"
#include "phial/cli/home.h"
#include "phial/cli/verbs.h"
#include "phial/cli/word_wrap.h"

namespace phial::cli {
namespace {

struct Ask : Command {
  std::string question;
  ModelFlags model;
  GroundingFlags grounding;
  SamplingFlags sampling{.default_max_tokens = rag::AnswerOptions{}.max_tokens};
  bool json = false, explained = false, quote = false;

  void describe(Flags& flags) override {
    flags.argument("QUESTION", &question, "in quotes").must();
    grounding.describe(flags);
    model.describe_model(flags);
    flags.add("--quote", quote, "answer in the documents' own words; no model writes");
    flags.add("--json", json, "one JSON object: answer, answerable, mode, citations, timings, ...");
    flags.add("--explain", explained, "every stage's candidates with their scores");
    grounding.describe_details(flags);
    sampling.describe(flags);
    model.describe_running(flags);
    model.describe_projector(flags);
    model.describe_prompt_cache(flags);
  }
  Status check() override {
    if (question.find_first_not_of(" \t\r\n") == std::string::npos) {
      return Error{Code::kInvalid, "the question is empty", "phial ask --docs PATH \"When does the lease end?\""};
    }
    if (quote && model.prompt_cache) {
      return Error{Code::kInvalid, "--prompt-cache with --quote", "no model runs then: give one of them"};
    }
    PHIAL_CHECKED(model.compute.check_kv());
    return grounding.check();
  }

  // Null: answers are quoted, because that was asked for, or because nobody named a model and there is none.
  Result<std::unique_ptr<generate::Engine>> open_model(ThreadPool& pool, Console& console) const {
    if (quote) return std::unique_ptr<generate::Engine>();
    if (!model.model) {
      if (const auto found = find_model(model.model, ModelUse::kAnswers); !found) {
        console.log()(Severity::kWarning, found.error().message + "; answering in the documents' own words");
        return std::unique_ptr<generate::Engine>();
      }
    }
    return model.open(pool, console);
  }

  Status run(Console& console) override {
    ThreadPool pool(model.compute.threads);
    PHIAL_TRY(const Grounding ground, Grounding::open(grounding, model.compute, pool, console));
    PHIAL_TRY(const auto engine, open_model(pool, console));
    PHIAL_TRY(rag::AnswerOptions options, grounding.answer_options(sampling));
    options.only_quote = quote;
    options.explain = explained;
    options.cancel = console.stopped();

    rag::Answerer answerer(*ground.store, *ground.embedder, engine.get());
    WordWrap wrap(console.output_columns());
    auto answered = answerer.answer(question, {}, options, [&](std::string_view piece) {
      if (!json) console.write(wrap.add(piece));
    });
    console.write(wrap.finish());
    PHIAL_TRY(const rag::Answer answer, std::move(answered));
    for (const std::string& warning : answer.warnings) console.log()(Severity::kWarning, warning);
    if (json) {
      console.write(dump_json(rag::to_json(answer)) + "\n");
      return write_prompt_cache(engine.get());
    }
    console.write("\n");
    if (!answer.citations.empty()) {
      console.write("\n" + wrap.add(citations_text(answer)));
    }
    if (explained) console.note(dump_json(answer.explanation));
    console.log()(Severity::kDetail, std::string(answer.mode == rag::AnswerMode::kGenerated ? "generated" : "quoted") +
                                         "; search " + std::to_string(static_cast<int>(answer.retrieve_ms)) +
                                         " ms, first word " + std::to_string(static_cast<int>(answer.first_token_ms)) +
                                         " ms, all " + std::to_string(static_cast<int>(answer.total_ms)) + " ms");
    return write_prompt_cache(engine.get());
  }

  static Status write_prompt_cache(generate::Engine* engine) {
    return engine != nullptr ? engine->write_prompt_cache() : ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_ask() { return std::make_unique<Ask>(); }

}  // namespace phial::cli
