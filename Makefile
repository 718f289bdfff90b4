# Two commands to know: `make demo` and `make test`. Both set everything up themselves.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# OpenMP threads that spin would starve everything else on a small machine.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help demo test test-all lint bench clean

help:
	@echo "make demo      set up, then enlarge a real photograph with the bundled model"
	@echo "make test      set up, then run every fast check"
	@echo "make test-all  the slow ones too: notebooks in full, mutation and kill series"
	@echo "make bench     speed and memory on this machine, as ratios to named alternatives"

demo: .venv/user
	$(BIN)/python examples/demo.py

test: .venv/dev lint
	$(BIN)/python -m pytest -m "not slow"

test-all: .venv/dev lint
	$(BIN)/python -m pytest

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev
	$(BIN)/python -m benchmarks.speed

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/user: .venv/bin/python pyproject.toml constraints.txt
	@echo "Setting up .venv (550 MB, with scikit-image for its photographs): about a minute."
	$(PIP) -e . scikit-image
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	@echo "Setting up .venv for development (2 GB, with torch): some minutes."
	$(PIP) -e ".[dev]"
	@touch $@ .venv/user

clean:
	rm -rf .venv demo build dist
