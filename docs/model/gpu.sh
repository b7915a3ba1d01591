#!/bin/sh
# Teachers, then a student, on a machine with a GPU; each call works for at most MINUTES and the next one goes on.
#
#   DATA=fer2013.parquet MINUTES=9 sh docs/model/gpu.sh
#
# Needs pip install 'mien[train,teachers]'. Checkpoints lie in runs/; keep that folder between calls.
set -e
data=${DATA:-fer2013.parquet}
ends=$(($(date +%s) + 60 * ${MINUTES:-9}))
cycle() {
    left=$((ends - $(date +%s)))
    [ "$left" -gt 30 ] || { echo "time is over: the same command goes on"; exit 0; }
    timeout --signal=INT "$left" mien train --config "docs/model/recipes/$1.toml" --data "$data" --resume || {
        code=$?
        [ "$code" = 124 ] && { echo "$1 is not done: the same command goes on"; exit 0; }
        exit "$code"
    }
}
mkdir -p runs
[ -e runs/shipped.ckpt ] || python -m mien.training.rebuild --data "$data" --out runs/shipped.ckpt
[ -e runs/recut.npy ] || python -m mien.run.recut --data "$data" --out runs/recut.npy
[ -e runs/covered.npy ] || python -m mien.run.recut --data "$data" --out runs/covered.npy --covered --cuts 1 --share 0.33
cycle wide
python benchmarks/ensemble.py runs/wide/059.ckpt docs/model/teachers/lite0.ckpt --data "$data"
cycle student
