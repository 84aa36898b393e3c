// A conversation in the terminal. Each answer has a stop of its own, so that Ctrl-C ends the answer and not the chat.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <span>

#include "phial/cli/grounding.h"
#include "phial/cli/home.h"
#include "phial/cli/interrupt.h"
#include "phial/cli/line_editor.h"
#include "phial/cli/pictures.h"
#include "phial/cli/verbs.h"
#include "phial/cli/word_wrap.h"

namespace phial::cli {
namespace {

constexpr const char* kChatHelp =
    "/help           this text\n"
    "/new            forget the conversation and begin again\n"
    "/undo           take back the last question and its answer\n"
    "/system TEXT    what the model is told before the conversation; begins again\n"
    "/image FILE     a picture that goes with the next question\n"
    "/save FILE      write the conversation to a file\n"
    "/quit           leave; so does Ctrl-D\n"
    "A line that ends in \\ goes on in the next; so does everything between two lines of \"\"\".\n"
    "Ctrl-C stops an answer.\n";

constexpr int kLeastAnswerTokens = 16;

struct Chat : Command {
  ModelFlags model;
  GroundingFlags grounding;
  SamplingFlags sampling{.default_max_tokens = 1024, .default_temperature = 0.7F, .sampling = {.top_p = 0.95F}};
  std::optional<std::string> system;
  PictureFlags images;
  bool json = false;

  std::vector<generate::Message> messages;
  std::vector<generate::Picture> first_pictures;  // --image: they go with the first question
  std::vector<generate::Picture> next_pictures;   // with the next one

  void describe(Flags& flags) override {
    model.describe_model(flags);
    flags.add("-s,--system", &system, "S", "what the model is told before the conversation");
    images.describe(flags, "a picture to talk about, for a model that sees; may be repeated");
    model.describe_projector(flags);
    grounding.describe(flags);
    flags.add("--json", json, "one JSON object an answer");
    sampling.describe(flags);
    grounding.describe_details(flags);
    model.describe_running(flags);
    model.describe_prompt_cache(flags);
  }
  Status check() override {
    PHIAL_CHECKED(model.compute.check_kv());
    if (grounding.given() && !images.files.empty()) {
      return Error{Code::kInvalid, "--image and documents were given", "talk about one of them"};
    }
    return grounding.check();
  }

  Status run(Console& console) override {
    PHIAL_TRY(const auto home, home_folder());
    PHIAL_TRY(first_pictures, images.read());
    ThreadPool pool(model.compute.threads);
    std::optional<Grounding> ground;
    if (grounding.given()) {
      PHIAL_TRY(ground, Grounding::open(grounding, model.compute, pool, console));
    }
    PHIAL_TRY(const auto engine, model.open(pool, console));
    PHIAL_CHECKED(engine->tokenizer());
    begin();
    LineEditor editor(home / "history");
    if (editor.is_interactive() && !json) console.note("/help tells what can be typed here; Ctrl-D leaves");
    const Status ended = converse(console, editor, *engine, ground ? &*ground : nullptr);
    const Status kept = engine->write_prompt_cache();
    return ended ? kept : ended;
  }

  void begin() {
    messages.clear();
    next_pictures = first_pictures;
    if (system) messages.push_back({"system", *system});
  }

  Status converse(Console& console, LineEditor& editor, generate::Engine& engine, Grounding* ground) {
    if (Interrupt::happened()) return Error{Code::kCancelled, "stopped", ""};  // while the model was opened
    for (;;) {
      Interrupt::redirect(std::stop_source{});
      const auto turn = read_turn(editor);
      if (turn.ended == LineEditor::Ended::kInterrupted) {
        if (ends_with_signal(editor)) return Error{Code::kCancelled, "stopped", ""};
        console.write("\n");
        continue;
      }
      if (turn.ended == LineEditor::Ended::kEndOfInput) {
        if (editor.is_interactive()) console.write("\n");
        return ok();
      }
      if (turn.text.find_first_not_of(" \t\r\n") == std::string::npos) continue;
      editor.remember(turn.text);
      if (turn.text.starts_with("/")) {
        if (is_quit(turn.text)) return ok();
        if (const Status done = command(console, turn.text); !done) console.error(done.error());
        if (Interrupt::happened() && ends_with_signal(editor)) return Error{Code::kCancelled, "stopped", ""};
        continue;
      }
      Status answered = answer(console, turn.text, engine, ground);
      if (Interrupt::happened() && ends_with_signal(editor)) return Error{Code::kCancelled, "stopped", ""};
      const bool was_stopped = !answered && answered.error().code == Code::kCancelled;
      if (!answered && !was_stopped && !editor.is_interactive()) return answered;
      if (was_stopped) {
        if (!json) console.write("\n");
      } else if (!answered) {
        console.error(answered.error());
      }
      if (console.stopped().stop_requested()) return ok();  // nobody takes the output any more
    }
  }

  // Ctrl-C ends an answer only where another question can be typed.
  static bool ends_with_signal(const LineEditor& editor) {
    return !editor.is_interactive() || Interrupt::ends_program();
  }

  // One turn: a line, lines joined by a backslash, or a block between lines of three quotes.
  static LineEditor::Line read_turn(LineEditor& editor) {
    const bool shown = editor.is_interactive();
    LineEditor::Line turn = editor.read(shown ? "> " : "");
    if (turn.ended != LineEditor::Ended::kNo) return turn;
    const auto more = [&](std::string& text) {
      const LineEditor::Line next = editor.read(shown ? ". " : "");
      if (next.ended == LineEditor::Ended::kInterrupted) turn.ended = next.ended;
      if (next.ended != LineEditor::Ended::kNo) return false;
      text = next.text;
      return true;
    };
    std::string next;
    if (turn.text == "\"\"\"") {
      turn.text.clear();
      while (more(next) && next != "\"\"\"") turn.text += (turn.text.empty() ? "" : "\n") + next;
      return turn;
    }
    while (turn.text.ends_with('\\')) {
      turn.text.back() = '\n';
      if (!more(next)) break;
      turn.text += next;
    }
    return turn;
  }

  static bool is_quit(const std::string& text) {
    const std::string name = text.substr(0, text.find_first_of(" \t"));
    return name == "/quit" || name == "/exit" || name == "/bye";
  }

  Status command(Console& console, const std::string& text) {
    const size_t space = std::min(text.find(' '), text.size());
    const std::string name = text.substr(0, space);
    const std::string rest = text.substr(std::min(space + 1, text.size()));
    if (name == "/help") {
      if (json) {
        console.note(kChatHelp);
      } else {
        console.write(kChatHelp);
      }
    } else if (name == "/new") {
      begin();
    } else if (name == "/undo") {
      if (messages.empty() || messages.back().role == "system")
        return Error{Code::kInvalid, "there is nothing to undo", "ask something first"};
      const auto& taken_back = messages[messages.size() - 2].pictures;
      next_pictures.insert(next_pictures.begin(), taken_back.begin(), taken_back.end());
      messages.resize(messages.size() - 2);
    } else if (name == "/system") {
      system = rest.empty() ? std::nullopt : std::optional(rest);
      begin();
    } else if (name == "/image") {
      if (grounding.given()) {
        return Error{Code::kInvalid, "questions to documents take no pictures", "'phial chat' without documents does"};
      }
      if (rest.empty()) return Error{Code::kInvalid, "/image needs a file's name", "/image chart.png"};
      PHIAL_TRY(generate::Picture picture, read_picture(rest));
      next_pictures.push_back(std::move(picture));
    } else if (name == "/save") {
      return save(rest);
    } else {
      const std::vector<std::string> names = {"/help", "/new", "/undo", "/system", "/image", "/save", "/quit"};
      const auto meant = nearest(name, names);
      return Error{Code::kInvalid, "there is no " + name,
                   meant ? "did you mean " + *meant + "?" : "/help lists what there is"};
    }
    return ok();
  }

  Status save(const std::string& file) const {
    if (file.empty()) return Error{Code::kInvalid, "/save needs a file's name", "/save talk.txt"};
    std::ofstream out(file, std::ios::binary);
    for (const generate::Message& message : messages) out << message.role << ": " << message.content << "\n\n";
    out.close();
    if (!out) {
      return Error{Code::kIo, std::string("cannot write: ") + std::strerror(errno) + " (" + file + ")",
                   "name another place"};
    }
    return ok();
  }

  Status answer(Console& console, const std::string& question, generate::Engine& engine, Grounding* ground) {
    std::stop_source stop;
    Interrupt::redirect(stop);
    // Output that nobody takes ends an answer like Ctrl-C does.
    const std::stop_callback output_gone(console.stopped(), [&stop] { stop.request_stop(); });
    return ground != nullptr ? answer_from_documents(console, question, engine, *ground, stop.get_token())
                             : answer_freely(console, question, engine, stop.get_token());
  }

  Status answer_freely(Console& console, const std::string& question, generate::Engine& engine, std::stop_token stop) {
    messages.push_back({"user", question, next_pictures});
    auto generated = generate_answer(console, engine, std::move(stop));
    if (!generated) {
      messages.pop_back();
      return std::move(generated).error();
    }
    next_pictures.clear();
    messages.push_back({"assistant", generated->text});
    if (json) {
      console.write(dump_json({{"text", generated->text},
                               {"stop", name_of(generated->stop)},
                               {"prompt_tokens", generated->prompt_tokens},
                               {"reused_tokens", generated->reused_tokens},
                               {"generated_tokens", generated->ids.size()},
                               {"first_token_ms", generated->first_token_ms}}) +
                    "\n");
    } else {
      console.write("\n");
    }
    return ok();
  }

  Result<generate::Generation> generate_answer(Console& console, generate::Engine& engine, std::stop_token stop) const {
    generate::GenerateRequest request;
    request.messages = messages;
    sampling.apply(request);
    request.cancel = std::move(stop);
    PHIAL_TRY(const int prompt_tokens, engine.count_prompt_tokens(messages));
    const int room = engine.context_tokens() - prompt_tokens;
    if (room < kLeastAnswerTokens) {
      return Error{Code::kOutOfRange,
                   "the conversation takes " + std::to_string(prompt_tokens) + " of " +
                       std::to_string(engine.context_tokens()) + " tokens",
                   "/new begins again, --context gives more"};
    }
    request.max_tokens = std::min(request.max_tokens, room);
    WordWrap wrap(console.output_columns());
    auto generated = engine.generate(request, [&](std::string_view piece) {
      if (!json) console.write(wrap.add(piece));
    });
    console.write(wrap.finish());
    return generated;
  }

  Status answer_from_documents(Console& console, const std::string& question, generate::Engine& engine,
                               Grounding& ground, std::stop_token stop) {
    // Answers from documents are short and without chance, as those of `ask`.
    SamplingFlags steady = sampling;
    steady.default_max_tokens = rag::AnswerOptions{}.max_tokens;
    steady.default_temperature = 0;
    PHIAL_TRY(rag::AnswerOptions options, grounding.answer_options(steady));
    options.wishes = system.value_or("");
    options.cancel = std::move(stop);
    rag::Answerer answerer(*ground.store, *ground.embedder, &engine);
    WordWrap wrap(console.output_columns());
    const auto said = std::span(messages).subspan(system ? 1 : 0);
    auto answered = answerer.answer(question, said, options, [&](std::string_view piece) {
      if (!json) console.write(wrap.add(piece));
    });
    console.write(wrap.finish());
    PHIAL_TRY(const rag::Answer answer, std::move(answered));
    for (const std::string& warning : answer.warnings) console.log()(Severity::kWarning, warning);
    messages.push_back({"user", question});
    messages.push_back({"assistant", answer.text});
    if (json) {
      console.write(dump_json(rag::to_json(answer)) + "\n");
    } else {
      console.write("\n" + (answer.citations.empty() ? "" : "\n" + wrap.add(citations_text(answer))));
    }
    return ok();
  }
};

}  // namespace

std::unique_ptr<Command> make_chat() { return std::make_unique<Chat>(); }

}  // namespace phial::cli
