// Every verb's command, for the table in main.cc. Each is written in the file of its name.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "phial/cli/verb.h"

namespace phial::cli {

std::unique_ptr<Command> make_ask();
std::unique_ptr<Command> make_chat();
std::unique_ptr<Command> make_add();
std::unique_ptr<Command> make_library_list();
std::unique_ptr<Command> make_library_show();
std::unique_ptr<Command> make_library_remove();
std::unique_ptr<Command> make_library_search();
std::unique_ptr<Command> make_see();
std::unique_ptr<Command> make_generate();
std::unique_ptr<Command> make_embed();
std::unique_ptr<Command> make_perplexity();
std::unique_ptr<Command> make_bench();
std::unique_ptr<Command> make_quantize();
std::unique_ptr<Command> make_tokenize();
Result<int> start_training_program(std::span<const std::string> words);
std::unique_ptr<Command> make_logits();
std::unique_ptr<Command> make_data_pack();
std::unique_ptr<Command> make_data_procedural();
std::unique_ptr<Command> make_data_render();
std::unique_ptr<Command> make_data_tokenizer();
std::unique_ptr<Command> make_models_list();
std::unique_ptr<Command> make_models_add();
std::unique_ptr<Command> make_models_show();
std::unique_ptr<Command> make_models_convert();
std::unique_ptr<Command> make_models_merge();
std::unique_ptr<Command> make_models_remove();

}  // namespace phial::cli
