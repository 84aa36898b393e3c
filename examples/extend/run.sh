#!/usr/bin/env bash
# A model with a context of 128 tokens that finds numbers in its prompt, and the same with 1,024 tokens.
#
#   examples/extend/run.sh [OUT]          build/extend by default; a run that was cut off goes on
#   QUICK=1 examples/extend/run.sh OUT    a small part of it, to see that it works
#   PHIAL=FOLDER                          where phial and phial-train are; build/release/bin by default
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$root/build/extend}
PATH="${PHIAL:-$root/build/release/bin}:$PATH"
short=() long=()
if [[ -n ${QUICK:-} ]]; then
  short=(--set train.steps=20 --set schedule.warmup_steps=3)
  long=(--set train.steps=4 --set search.generations=1 --set search.population=4 --set measure.samples=1)
fi

mkdir -p "$out"
cd "$out"
python3 "$here/prepare.py" "$here/../tiny-phi/texts/philosophy.jsonl.gz" --out .
[[ -d tokenizer ]] || phial data tokenizer tokenizer.jsonl --vocab-size 512 -o tokenizer
# The model's folder: its shape, and the tokenizer beside it.
cp tokenizer/*.json "$here/config.json" .
for part in short long held_out; do
  [[ -d packed_$part ]] || phial data pack $part.jsonl --tokenizer tokenizer -o packed_$part
done

phial train pretrain --config "$here/pretrain.toml" "${short[@]}"
# To find numbers is learned late.
phial train pretrain --config "$here/pretrain.toml" --set model.config= --set model.start=first/model --set run.out=short \
  --set train.steps=3800 --set optimizer.lr=3e-3 --set schedule.warmup_steps=100 --set train.seed=2 "${short[@]}"
phial train extend --config "$here/extend.toml" "${long[@]}"
echo "$out/long/extension.html"
