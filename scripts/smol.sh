#!/bin/sh
# `make smol`, the run of docs/real-model.md: a supervised start, then GRPO and GRPO-N from it, each evaluated alike.
# Called again, it goes on where it stopped. SEEDS, TASKS (of an evaluation) and OVERRIDES (of training) may be set;
# the tasks are those of $CODERL_DATA or ../shared/data where they are there, else the hub's.
set -eu
coderl=.venv/bin/coderl
runs=runs/smol
data=${CODERL_DATA:-../shared/data}
mbpp=mbpp
humaneval=humaneval
if [ -d "$data" ]; then
    mbpp=mbpp=$data/mbpp/mbpp.jsonl
    humaneval=humaneval=$data/humaneval/HumanEval.jsonl
fi

warm_up() { # NAME MODEL
    [ -e "$runs/$1/config.json" ] || "$coderl" warmup --config configs/smol.toml --model "$2" \
        --dataset "$mbpp" --evaluation "$mbpp" --out "$runs/$1"
}

train() { # OBJECTIVE SEED
    if [ -e "$runs/$1-$2/config.toml" ]; then
        "$coderl" train --resume "$runs/$1-$2"
    else
        # shellcheck disable=SC2086
        "$coderl" train --config configs/smol.toml --model "$runs/warm" --dataset "$mbpp" --evaluation "$mbpp" \
            runs="$runs" name="$1-$2" objective.name="$1" seed="$2" ${OVERRIDES:-}
    fi
}

evaluate() { # NAME MODEL
    for tasks in "$mbpp" "$humaneval"; do
        out=$runs/evals/$1-${tasks%%=*}
        [ -e "$out" ] && continue
        rm -rf "$out.part"
        "$coderl" eval --config configs/smol.toml --model "$2" --tasks "$tasks" --limit "${TASKS:-128}" \
            --samples 16 --out "$out.part"
        mv "$out.part" "$out"
    done
}

mkdir -p "$runs/evals"
warm_up warm smollm2-135m
evaluate warm "$runs/warm"
for seed in ${SEEDS:-0}; do
    for objective in grpo grpo_n; do
        train "$objective" "$seed"
        evaluate "$objective-$seed" "$(ls -d "$runs/$objective-$seed"/checkpoints/step-* | tail -n 1)"
    done
done
warm_up control "$runs/warm"
evaluate control "$runs/control"
evaluate base smollm2-135m
for tasks in mbpp humaneval; do
    set --
    for each in "$runs"/evals/*-$tasks; do
        [ "$each" = "$runs/evals/base-$tasks" ] || set -- "$@" "$each"
    done
    "$coderl" compare "$runs/evals/base-$tasks" "$@" --out "$runs/$tasks.html"
done
