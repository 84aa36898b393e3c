// The fields of a pretraining run, with what each means.
#include "phial/train/pretrain.h"

namespace phial::train {

void PretrainConfig::describe(ConfigFields& fields) {
  fields.add("model.config", &model_config,
             "config.json of the model to make: Phi-3, Phi-3-small, Llama, Mistral, Qwen2");
  fields.add("model.start", &model_start,
             "a Hugging Face folder whose weights the run begins with; nothing: they are drawn");

  fields
      .add("mup.base_hidden_dim", &base_hidden_dim,
           "width of the narrow model that the learning rate was found on; 0: no muP")
      .between(0, 65536);
  fields.add("mup.base_ffn_dim", &base_ffn_dim, "its feed-forward width; 0: in proportion").between(0, 65536);
  fields.add("mup.base_n_heads", &base_n_heads, "its heads; 0: in proportion").between(0, 65536);
  fields.add("mup.base_head_dim", &base_head_dim, "its head's width; 0: the model's own").between(0, 65536);
  fields
      .add("mup.attention_constant", &attention_constant,
           "c where scores are multiplied by c / head_dim; 0: the root of the base's head_dim")
      .at_least(0);
  fields.add("mup.embedding_multiplier", &embedding_multiplier, "of embeddings; 0: as config.json says, or 1")
      .at_least(0);

  fields.add("init.sigma", &sigma, "standard deviation of new matrices").at_least(0);
  fields.add("init.by_depth", &by_depth, "what adds to the residual stream begins smaller by the root of 2 layers");
  fields.add("init.zero_head", &zero_head, "an output matrix of its own begins at zero");
  fields.add("init.zero_query", &zero_query, "queries begin at zero, where they have a matrix of their own");

  fields.add("data.shards", &shards, "token shards, or folders of files that end in .tokens, in this order");
  fields.add("data.sequence_tokens", &sequence_tokens, "tokens of a row").at_least(1);
  fields.add("batch.rows", &rows, "rows that are computed together").at_least(1);
  fields.add("batch.accumulate", &accumulate, "so many times before each step").at_least(1);

  fields.add("optimizer.lr", &lr, "the learning rate at its peak").at_least(0);
  fields.add("optimizer.beta1", &beta1, "decay of the mean of gradients").between(0, 0.999999);
  fields.add("optimizer.beta2", &beta2, "decay of the mean of their squares").between(0, 0.999999);
  fields.add("optimizer.epsilon", &epsilon, "added to the root of that mean").at_least(1e-30);
  fields.add("optimizer.weight_decay", &weight_decay, "of matrices and embedding, decoupled").at_least(0);
  fields.add("optimizer.clip", &clip, "largest norm of all gradients together; 0: any").at_least(0);
  fields.add("optimizer.z_loss", &z_loss, "weight of the squared log of the softmax's sum; 1e-4 is usual").at_least(0);

  fields.add("schedule.kind", &schedule, "how the learning rate goes").one_of({"cosine", "wsd", "constant"});
  fields.add("schedule.warmup_steps", &warmup_steps, "steps from 0 to the peak").at_least(0);
  fields.add("schedule.decay_steps", &decay_steps, "of wsd: the last steps, in which it falls; 0: a fifth of all")
      .at_least(0);
  fields.add("schedule.decay_shape", &decay_shape, "of wsd: how it falls").one_of({"one_minus_sqrt", "linear"});
  fields.add("schedule.final_share", &final_share, "of the peak, at the end").between(0, 1);

  fields.add("train.steps", &steps, "steps in all").at_least(1);
  fields.add("train.seed", &seed, "of first weights and order of data").at_least(0);
  fields.add("train.threads", &threads, "threads; 0: the cores this process may use").between(0, 1024);
  fields.add("train.compute", &compute, "of matrix products; weights, norms and loss are f32").one_of({"f32", "bf16"});
  fields.add("train.recompute_layers", &recompute_layers, "saves memory, for a third more time");
  fields.add("train.max_skipped", &max_skipped, "steps in a row without a finite loss before the run ends").at_least(0);

  fields.add("run.out", &out, "the run's folder; one that is there goes on");
  fields.add("run.snapshot_every", &snapshot_every, "steps between snapshots").at_least(1);
  fields.add("run.keep", &keep, "snapshots that are kept; with one, a damaged one ends the run").at_least(1);
  fields.add("run.save_as", &save_as, "number type of the model at the end").one_of({"f32", "bf16"});
}

}  // namespace phial::train
