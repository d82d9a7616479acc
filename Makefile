# make test        sets up .venv and runs the tests
# make reproduce   sets up .venv, trains at quick scale on the shipped digits, draws the figures
# make test-all    also the slow tests;  make test-gpu    those that need a GPU
# make clean       removes caches and build products; leaves .venv and runs alone

PYTHON ?= python3
BIN := .venv/bin
QUICK := runs/quick

.PHONY: test test-all test-gpu reproduce clean

.venv/.stamp: setup.cfg setup.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "nta_tf needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is" \
	    "$$($(PYTHON) --version 2>&1): call 'make PYTHON=/path/to/python3.11'." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

test: .venv/.stamp
	$(BIN)/python -m pytest -q

test-all: .venv/.stamp
	$(BIN)/python -m pytest -q -m ""

test-gpu: .venv/.stamp
	$(BIN)/python -m pytest -q -m gpu

reproduce: .venv/.stamp
	$(BIN)/python -m reproduce train --task autoencoder --scale quick --data sample --out $(QUICK)/autoencoder
	$(BIN)/python -m reproduce train --task convnet --scale quick --optimizers rmsprop sgd:0.1 --out $(QUICK)/convnet
	$(BIN)/python -m reproduce record $(QUICK)/convnet
	$(BIN)/python -m reproduce solve $(QUICK)/autoencoder --checkpoints 50
	$(BIN)/python -m reproduce solve $(QUICK)/convnet --domains ball --checkpoints 10
	$(BIN)/python -m reproduce solve $(QUICK)/convnet --domains free --checkpoints 10 --records figures --scopes conv2d_1 conv2d_2
	$(BIN)/python -m reproduce explore $(QUICK)
	$(BIN)/python -m reproduce figures --runs $(QUICK) --out $(QUICK)/figures
	$(BIN)/python -m reproduce

clean:
	rm -rf build dist *.egg-info .pytest_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
