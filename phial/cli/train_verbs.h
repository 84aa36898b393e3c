// Every verb's command of the program phial-train, for the table in train_main.cc.
#pragma once

#include <memory>

#include "phial/cli/verb.h"

namespace phial::cli {

std::unique_ptr<Command> make_pretrain();
std::unique_ptr<Command> make_sft();
std::unique_ptr<Command> make_dpo();
std::unique_ptr<Command> make_extend();
std::unique_ptr<Command> make_train_vision();
std::unique_ptr<Command> make_coordinate_check();
std::unique_ptr<Command> make_sweep();

}  // namespace phial::cli
