# The commands of this repository. Everything runs in .venv, which `make setup` makes.
BIN := .venv/bin
# What `make test` passes to pytest, e.g. `make test PYTEST_ARGS="-x tests/tasks"`.
PYTEST_ARGS ?=
# Python compiles what .venv holds when it is first imported; where this is set it would do so each time.
unexport PYTHONDONTWRITEBYTECODE
# What `make bench` runs, from tests/bench/.
BENCHES ?= sandbox_speed http_rate http_load seccomp learner_speed learner_memory sampler_speed trl_step ahead codet read_rows report_page

.PHONY: help setup demo smol test check bench lock clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## make .venv and see that programs can be isolated here
	@sh scripts/setup.sh

demo: setup ## train a small model from nothing, then write its report (3 to 5 minutes on 2 cores)
	$(BIN)/coderl train --config configs/demo.toml

smol: setup ## train a real model, SmolLM2-135M, and compare objectives (hours on 2 cores)
	@sh scripts/smol.sh

test: setup ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: setup ## lint, formatting, strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests

bench: setup ## run the benchmarks, an hour or so; each ends with its figures as one line of JSON
	@for each in $(BENCHES); do \
		echo "== $$each"; $(BIN)/python -m tests.bench.$$each || exit 1; \
	done

lock: setup ## write requirements/cpu.lock.txt anew from what .venv holds
	$(BIN)/python scripts/lock.py

clean: ## remove what set-up and the tools made (not runs/)
	rm -rf .venv .venv.lock build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
