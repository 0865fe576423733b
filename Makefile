# Two commands: `make quickstart` sets everything up and explores a network; `make test` sets everything up and tests.
#
#   PYTHON=python3.12     which Python (3.11 or newer) the environment is made from
#   ARGS="--fresh"        more arguments for explorer run, pytest or pip install
#   WORKERS=3             test files that run at the same time; two cores have time for a third
#   TORCH=default         the default build of PyTorch (with CUDA on x86) instead of the CPU-only one

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
WORKERS ?= 3
export TORCH ?= cpu

.PHONY: help install quickstart test lint types contracts clean
.DEFAULT_GOAL := help

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# Set up again only when what the project needs has changed; a stamp in the environment remembers that it was done.
$(VENV)/.host $(VENV)/.dev $(VENV)/.peers: $(VENV)/.%: pyproject.toml tools/set_up.py
	@test -n "$(PYTHON)" || { echo "explorer needs Python 3.11 or newer; say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) tools/set_up.py $(VENV) --extras $*
	@touch $(VENV)/.host $@

install: $(VENV)/.host ## set up an environment in .venv and do nothing else
	@$(if $(ARGS),$(BIN)/python -m pip install $(ARGS),true)

quickstart: $(VENV)/.host ## set up, explore a gait network on this machine, show the front
	@$(BIN)/explorer run --space quickstart $(ARGS)
	@$(BIN)/explorer report --pareto
	@printf 'the same front to hover and filter: ' && \
	  $(BIN)/explorer report --pareto --format html --output results/quickstart/front.html

test: $(VENV)/.dev ## set up and run the tests
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

lint: $(VENV)/.dev ## style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy --strict
	@$(BIN)/mypy

contracts: $(VENV)/.dev ## who may import whom
	@$(BIN)/lint-imports --no-logo --no-cache

clean: ## remove the environment and the caches of tools; results stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
