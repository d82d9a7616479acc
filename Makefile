# make test        sets up .venv and runs the tests: four to ten minutes on two cores
# make reproduce   sets up .venv, trains at quick scale on the shipped digits, draws and judges
# make check       format, lint, types and the quick tests, in a minute
# make docs        fills the tables of README.md and docs/ from the committed results
# make site        the pages of docs/ with the API reference, in build/site
# make test-all    also the slow tests, an hour at most;  make test-gpu    those that need a GPU
# make test-wheel  the wheel in an empty environment and folder; PYTHON=python3.13 for another Python
# make test-faults  kills, full disks, damage (python -m tests.faults), and fuzz in full: hours
# make clean       removes caches and build products; leaves .venv and runs alone

PYTHON ?= python3
BIN := .venv/bin
# How many processes share the tests: one a core.
JOBS ?= auto
PYTEST := $(BIN)/python -m pytest -q
# A file stays in one process, since its tests share what they have trained.
SIDE_BY_SIDE := --numprocesses $(JOBS) --dist loadfile

.PHONY: check clean docs reproduce site test test-all test-faults test-gpu test-wheel

.venv/.stamp: setup.cfg setup.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "nta_tf needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is" \
	    "$$($(PYTHON) --version 2>&1): call 'make PYTHON=/path/to/python3.11'." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

check: .venv/.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) $(SIDE_BY_SIDE) -m "quick and not slow" tests

test: .venv/.stamp
	$(PYTEST) $(SIDE_BY_SIDE)

test-all: .venv/.stamp
	$(PYTEST) $(SIDE_BY_SIDE) -m "not gpu"

test-faults: .venv/.stamp
	$(BIN)/python -m tests.faults --log build/faults.jsonl
	NTA_TF_FUZZ=full $(PYTEST) -m "not gpu" tests/fuzz

WHEEL := build/wheel
INSTALLED := ../env/bin/nta-reproduce
test-wheel:
	rm -rf $(WHEEL) && mkdir -p $(WHEEL)/folder
	$(PYTHON) -m venv $(WHEEL)/env
	$(WHEEL)/env/bin/python -m pip wheel --quiet --no-deps --wheel-dir $(WHEEL) .
	$(WHEEL)/env/bin/python -m pip install --quiet $(WHEEL)/*.whl
	cd $(WHEEL)/folder && $(INSTALLED) train --epochs 3 --optimizers rmsprop sgd:0.1 --layers dense_3
	cd $(WHEEL)/folder && $(INSTALLED) solve runs && $(INSTALLED) figures 4 --runs runs
	cd $(WHEEL)/folder && $(INSTALLED) figures 6

test-gpu: .venv/.stamp
	$(PYTEST) -m gpu

reproduce: .venv/.stamp
	$(BIN)/python -m reproduce quick

docs: .venv/.stamp
	$(BIN)/python -m reproduce.pages

site: docs
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	$(BIN)/mkdocs build --quiet --strict
	@echo "build/site/index.html"

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
