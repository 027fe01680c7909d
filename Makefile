# Two commands: `make demo` shows it working, `make test` proves it. Both set up .venv first, once.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-library test-jobs test-cluster check
.DELETE_ON_ERROR:

demo: .venv/installed
	$(BIN)/hwr demo

test: test-library test-jobs test-cluster

# Beside the jobs, with make -j2, it takes what these leave of the processors: their workers are at nice 15.
test-library: .venv/installed
	$(BIN)/lint-imports --no-logo
	nice -n 19 $(BIN)/pytest tests/hwr

test-jobs: .venv/installed
	$(BIN)/pytest tests/pipelines

# Several machines, played by several raylets on this one.
test-cluster: .venv/installed
	$(BIN)/pytest tests/cluster

check: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Only releases named in constraints.txt are taken: torch and torchvision must be a matching pair.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hwr needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
