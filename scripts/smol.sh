#!/bin/sh
# `make smol`: the study of docs/real-model.md. The tasks are the files of $CODERL_DATA or ../shared/data where that is
# there, else the hub's. What is given is passed on, e.g. "seeds=[0,1,2]"; called again, it goes on where it stopped.
set -eu
data=${CODERL_DATA:-../shared/data}
if [ -d "$data" ]; then
    mbpp=mbpp=$data/mbpp/mbpp.jsonl
    set -- "base.data.train=$mbpp" "base.data.evaluation=$mbpp" \
        "final.others.humaneval=humaneval=$data/humaneval/HumanEval.jsonl" "$@"
fi
exec .venv/bin/coderl reproduce --config configs/studies/real.toml "$@"
