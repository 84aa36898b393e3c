#!/usr/bin/env bash
# Trains a small model from nothing on pictures of shapes, and judges it on others (README.md says how far it gets).
#
#   examples/pictures/run.sh [OUT]        build/pictures by default; a run that was cut off goes on
#   QUICK=1 examples/pictures/run.sh OUT  a small part of it, to see that every stage works
#   KINDS=shapes,bar_chart,table          what is drawn; shapes by default
#   PHIAL=FOLDER                          where phial and phial-train are; build/release/bin by default
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$root/build/pictures}
PATH="${PHIAL:-$root/build/release/bin}:$PATH"
pictures=30000 held_out=400 texts=2000
quick=() brief=0.001
if [[ -n ${QUICK:-} ]]; then
  pictures=64 held_out=8 texts=16
  quick=(--set train.epochs=1) brief=0.5
fi

mkdir -p "$out"
cd "$out"
kinds=${KINDS:-shapes}
[[ -d pictures ]] || phial data render pictures --kind $kinds --size 96 --count $pictures --questions 6 --seed 1
[[ -d held_out ]] || phial data render held_out --kind $kinds --size 96 --count $held_out --seed 2 --part held-out
[[ -f texts.jsonl ]] || phial data procedural texts.jsonl --kind arithmetic --hardest 1 --as messages --count $texts --seed 1

# The model's folder: its shape, and a tokenizer of what is asked and answered.
python3 "$here/evaluate.py" words pictures/conversations.jsonl texts.jsonl > words.jsonl
[[ -d tokenizer ]] || phial data tokenizer words.jsonl --vocab-size 1024 -o tokenizer
cp tokenizer/*.json "$here/config.json" .

# What it answers before it has learned anything: one step at a rate of 0.
phial train vision --config "$here/vision.toml" --set optimizer.lr=0 --set train.epochs=$brief --set run.out=start
phial train vision --config "$here/vision.toml" "${quick[@]}"

python3 "$here/evaluate.py" judge --train pictures/conversations.jsonl --held-out held_out --start start --run run \
  --out evaluation.json
echo "phial see $out/held_out/pictures/000001.png 'How many shapes are there?' --model $out/run/model"
