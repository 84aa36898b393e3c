// What torchrun or Slurm tell each of the processes that they start, by variables of the environment.
#pragma once

#include "phial/base/result.h"
#include "phial/train/world.h"

namespace phial::cli {

// torchrun: RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT, TORCHELASTIC_USE_AGENT_STORE,
// TORCHELASTIC_RESTART_COUNT. Else srun: SLURM_PROCID, SLURM_STEP_NUM_TASKS, with MASTER_ADDR and MASTER_PORT. Without
// them one process alone, as in a batch script of Slurm that does not use srun. kInvalid for a variable that is missing
// or makes no sense.
Result<train::World> world_of_environment();

// kInvalid, for what runs in one process, if several were started.
Status check_is_alone();

}  // namespace phial::cli
