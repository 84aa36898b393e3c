#include "phial/train/run_config.h"

#include <cmath>

namespace phial::train {

void RunConfig::describe_shared(ConfigFields& fields) {
  fields.add("data.held_out_rows", &held_out_rows, "of the held-out data, measured at most; 0: all").at_least(0);

  fields.add("batch.rows", &rows, "rows that are computed together").at_least(1);
  fields.add("batch.accumulate", &accumulate, "so many times before each step").at_least(1);

  fields.add("optimizer.lr", &lr, "the learning rate at its peak").at_least(0);
  fields.add("optimizer.beta1", &beta1, "decay of the mean of gradients").between(0, 0.999999);
  fields.add("optimizer.beta2", &beta2, "decay of the mean of their squares").between(0, 0.999999);
  fields.add("optimizer.epsilon", &epsilon, "added to the root of that mean").at_least(1e-30);
  fields.add("optimizer.weight_decay", &weight_decay, "of matrices and embedding, decoupled").at_least(0);
  fields.add("optimizer.clip", &clip, "largest norm of all gradients together; 0: any").at_least(0);

  fields.add("schedule.kind", &schedule, "how the learning rate goes").one_of({"cosine", "wsd", "constant"});
  fields.add("schedule.decay_steps", &decay_steps, "of wsd: the last steps, in which it falls; 0: a fifth of all")
      .at_least(0);
  fields.add("schedule.decay_shape", &decay_shape, "of wsd: how it falls").one_of({"one_minus_sqrt", "linear"});
  fields.add("schedule.final_share", &final_share, "of the peak, at the end").between(0, 1);

  fields.add("train.seed", &seed, "of first weights and order of data").at_least(0);
  fields.add("train.threads", &threads, "threads; 0: the cores this process may use").between(0, 1024);
  fields.add("train.device", &device, "what computes: a CUDA device, or the CPU; auto: the first where there is one")
      .one_of({"auto", "cpu", "cuda"});
  fields.add("train.compute", &compute, "of matrix products; weights, norms and loss are f32").one_of({"f32", "bf16"});
  fields.add("train.recompute_layers", &recompute_layers, "saves memory, for a third more time");
  fields
      .add("train.average_decay", &average_decay,
           "of an exponential average of the weights, which the model at the end then is and held-out "
           "data is measured on; 0.999 is usual, 0: none")
      .between(0, 0.9999999);
  fields.add("train.max_skipped", &max_skipped, "steps in a row without a finite loss before the run ends").at_least(0);
  fields.add("train.evaluate_every", &evaluate_every, "steps between measurements on the held-out data").at_least(1);

  fields
      .add("train.shard", &shard, "what each of several processes keeps a part of; optimizer: AdamW's moments (ZeRO-1)")
      .one_of({"none", "optimizer"});
  fields
      .add("train.peer_timeout", &peer_timeout,
           "seconds that processes wait for each other: more than it takes to write a snapshot or the model, or to "
           "check a snapshot that the run goes on from")
      .between(1, 86400);

  fields.add("run.out", &out, "the run's folder; one that is there goes on");
  fields.add("run.snapshot_every", &snapshot_every, "steps between snapshots").at_least(1);
  fields.add("run.keep", &keep, "snapshots that are kept; with one, a damaged one ends the run").at_least(1);
  fields
      .add("run.peak_tflops", &peak_tflops,
           "what a process multiplies at most, in 1e12 operations a second, for MFU; 0: as published for its GPU in "
           "bf16, else measured on large matrices")
      .at_least(0);
  fields.add("run.save_as", &save_as, "number type of the model at the end; as_start: that of model.start, or f32")
      .one_of({"as_start", "f32", "bf16"});
}

void RunConfig::describe_lora(ConfigFields& fields) {
  fields
      .add("lora.rank", &lora_rank,
           "of the adapter of each matrix, which alone is trained and wants ten times the optimizer.lr; 0: every "
           "weight is")
      .between(0, 65536);
  fields.add("lora.alpha", &lora_alpha, "an adapter counts alpha / rank times").at_least(1e-6);
}

void RunConfig::describe_vision_rates(ConfigFields& fields) {
  fields
      .add("vision.encoder_rate", &encoder_rate,
           "the image encoder of a model that sees learns so many times optimizer.lr; 0: it stays")
      .between(0, 1e6);
  fields.add("vision.projector_rate", &projector_rate, "so do projector and separators").between(0, 1e6);
}

void RunConfig::describe_epochs(ConfigFields& fields) {
  fields.add("schedule.warmup_share", &warmup_share, "of the steps, in which the rate rises from 0 to the peak")
      .between(0, 1);
  fields.add("train.epochs", &epochs, "how often the data is seen").between(1e-3, 1e4);
}

void RunConfig::set_steps(uint64_t samples) {
  const auto each = static_cast<uint64_t>(rows * accumulate);
  steps = static_cast<int64_t>((samples + each - 1) / each);
  warmup_steps = std::llround(warmup_share * static_cast<double>(steps));
}

}  // namespace phial::train
