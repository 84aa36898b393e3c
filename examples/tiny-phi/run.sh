#!/usr/bin/env bash
# From two books to a model that chats, in under twenty minutes on two cores: tokenizer, pretraining, SFT, DPO, INT4.
#
#   examples/tiny-phi/run.sh [OUT]          build/tiny-phi by default; a run that was cut off goes on
#   QUICK=1 examples/tiny-phi/run.sh OUT    a small part of it, to see that every stage works
#   PHIAL=FOLDER                            where phial and phial-train are; build/release/bin by default
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$root/build/tiny-phi}
PATH="${PHIAL:-$root/build/release/bin}:$PATH"
share=1.0
pretrain=() tune=()
evaluate=(--samples 200)
if [[ -n ${QUICK:-} ]]; then
  share=0.02
  evaluate=(--samples 4 --judge tiny-phi.gguf)
  pretrain=(--set train.steps=15 --set schedule.warmup_steps=3 --set batch.rows=4 --set data.sequence_tokens=128)
  tune=(--set train.epochs=0.5 --set data.sequence_tokens=128)
fi

mkdir -p "$out"
cd "$out"
python3 "$here/prepare.py" "$here"/texts/*.jsonl.gz --out . --share "$share"

[[ -d tokenizer ]] || phial data tokenizer texts.jsonl --vocab-size 2048 -o tokenizer
# The model's folder: its shape, and the tokenizer beside it.
cp tokenizer/*.json "$here/config.json" .
[[ -d packed ]] || phial data pack texts.jsonl --tokenizer tokenizer -o packed
[[ -d packed_held_out ]] || phial data pack texts_held_out.jsonl --tokenizer tokenizer -o packed_held_out

phial train pretrain --config "$here/pretrain.toml" "${pretrain[@]}"
phial train sft --config "$here/sft.toml" "${tune[@]}"
phial train dpo --config "$here/dpo.toml" "${tune[@]}"
rm -f tiny-phi.gguf  # of a run before
phial quantize dpo/model tiny-phi.gguf --to Q4_0

python3 "$here/evaluate.py" "${evaluate[@]}" --out evaluation.json
echo "phial chat --model $out/tiny-phi.gguf"
