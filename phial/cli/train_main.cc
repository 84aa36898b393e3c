// The program phial-train, which `phial train` starts: its verbs, under the name that the person typed.
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <string>
#include <vector>

#include "phial/cli/interrupt.h"
#include "phial/cli/train_verbs.h"

namespace phial::cli {
namespace {

constexpr Verb kTrainVerbs[] = {
    {"pretrain", "trains a model on token shards",
     "The configuration is a TOML file; --fields prints one with every field, its default and what it means. The run's "
     "folder (run.out) gets metrics.jsonl, a line a step, snapshots, and at the end the model as a Hugging Face "
     "folder. "
     "A run that was stopped or killed goes on from its last whole snapshot with the same command, to the same bits.",
     "phial train pretrain --config run.toml\nphial train pretrain --config run.toml --set optimizer.lr=2e-3\n"
     "phial train pretrain --fields > run.toml",
     make_pretrain},
    {"sft", "tunes a model on conversations",
     "Trains on what the assistant says in conversations (JSON lines of messages, prompt and completion, Alpaca or "
     "ShareGPT), written with the model's own chat template and packed into rows. With lora.rank only a low-rank "
     "adapter is trained; the run's folder then has it as PEFT reads it, beside the whole model.",
     "phial train sft --config sft.toml\nphial train sft --fields > sft.toml", make_sft},
    {"dpo", "tunes a model on pairs of a better and a worse answer",
     "Direct preference optimization: the model that the run begins with is the reference; what it makes of the pairs "
     "is "
     "computed once and kept in the run's folder. Metrics: reward margin and accuracy, divergence from the reference.",
     "phial train dpo --config dpo.toml\nphial train dpo --config dpo.toml --set dpo.loss=ipo", make_dpo},
    {"extend", "makes a model's context longer",
     "Searches rotary factors for the new length (LongRoPE), trains the model on rows that grow to it, mixed with rows "
     "of the old length, and measures loss and the retrieval of numbers by depth and length, before and after. The "
     "model's config.json has what a longer context needs. The run's folder gets rope_search.json, extension.json and "
     "extension.html beside what every run leaves. A run that was stopped goes on with the same command.",
     "phial train extend --config extend.toml\nphial train extend --config extend.toml --set "
     "extend.lengths=[8192,32768]\n"
     "phial train extend --fields > extend.toml",
     make_extend},
    {"vision", "teaches a model to see",
     "Trains an image encoder, a projector and a language model together on conversations whose rows name pictures "
     "(\"images\", and <|image_1|> in the texts), mixed with such as have none. The run begins with a model that sees, "
     "with a language model that gets a new eye, or with a config.json alone. 'phial see' asks the model that comes "
     "out; 'phial train dpo' tunes it further, pictures included.",
     "phial train vision --config vision.toml\nphial train vision --config vision.toml --set vision.encoder_rate=0\n"
     "phial train vision --fields > vision.toml",
     make_train_vision},
    {"coordcheck", "whether activations keep their size as the model grows wider (muP)",
     "Trains small models of several widths for a few steps on the same random tokens and tells by how much the mean "
     "size of each layer's output changes from width to width, as the slope of its logarithm. With muP they stay flat; "
     "the exit status says whether they do.",
     "phial train coordcheck\nphial train coordcheck --widths 64,128,256,512 --no-mup --json", make_coordinate_check},
    {"sweep", "which learning rate is the best, over models of several widths",
     "Makes a short pretraining run of every width and rate and compares their losses: with muP the best rate of the "
     "narrowest model, the cheap proxy, is that of the wide ones; with sweep.mup=false it moves. model.config is the "
     "shape of the narrowest; the configuration is that of pretrain with a group sweep. The folder (run.out) gets "
     "sweep.json and sweep.html. A sweep that was stopped goes on with the same command.",
     "phial train sweep --config sweep.toml\nphial train sweep --config sweep.toml --set sweep.seeds=3\n"
     "phial train sweep --fields > sweep.toml",
     make_sweep},
};

constexpr Verb kVerbs[] = {
    {"train", "makes such models", "", "phial train pretrain --config run.toml", nullptr, kTrainVerbs}};

// Each step takes the same large pieces of memory anew: what was freed is kept, where else the system would clear it
// for each of them again (a tenth of a step of a small model).
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace
}  // namespace phial::cli

int main(int argc, char** argv) {
  phial::cli::keep_freed_memory();
  std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  words.insert(words.begin(), "train");
  std::stop_source stop;
  const phial::cli::Interrupt interrupt(stop);
  phial::cli::Console console(stop);
  return phial::cli::run_program(phial::cli::kVerbs, words, console);
}
