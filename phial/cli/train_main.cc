// The program phial-train, which `phial train` starts: its verbs, under the name that the person typed.
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
    {"coordcheck", "whether activations keep their size as the model grows wider (muP)",
     "Trains small models of several widths for a few steps on the same random tokens and tells by how much the mean "
     "size of each layer's output changes from width to width, as the slope of its logarithm. With muP they stay flat; "
     "the exit status says whether they do.",
     "phial train coordcheck\nphial train coordcheck --widths 64,128,256,512 --no-mup --json", make_coordinate_check},
};

constexpr Verb kVerbs[] = {
    {"train", "makes such models", "", "phial train pretrain --config run.toml", nullptr, kTrainVerbs}};

}  // namespace
}  // namespace phial::cli

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  words.insert(words.begin(), "train");
  std::stop_source stop;
  const phial::cli::Interrupt interrupt(stop);
  phial::cli::Console console(stop);
  return phial::cli::run_program(phial::cli::kVerbs, words, console);
}
