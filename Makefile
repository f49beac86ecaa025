# The verbs of this repository. Each starts from a bare Python 3.11 or newer and pip; what is installed once stays.
#
#     make demo                       the whole stack on the embedded world, then the report
#     make test ARGS="-k bandit"      some of the tests
#     make test PYTHON=python3.12     with another Python

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
KERNELS := trueline/models/kernels.cpp trueline/models/decoding.cpp trueline/models/vectors.h
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test fast pages check smoke clean

help: ## list the verbs
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/'

demo: .venv/ready ## align a small model from nothing, and report what each stage added
	$(BIN)/trueline demo $(ARGS)

test: .venv/ready-dev ## run the tests, a file to each core
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

pages: .venv/ready-dev ## install what tests of pages and databases need: Chromium, PostgreSQL, axe-core
	.ci/pages

fast: .venv/ready-dev ## the tests that start no browser and no long work: under five minutes on two cores
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow" $(ARGS)

check: .venv/ready-dev ## format, lint, types of core, and the layer rule; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

smoke: .venv/ready ## the demo at its smallest size, from nothing: it must end well, and its numbers mean nothing
	rm -rf build/smoke
	$(BIN)/trueline demo --size smoke --out build/smoke

clean: ## remove what can be made again; runs/ holds results and stays
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than the files that say what to install; the tools of development bring the rest with them.
.venv/ready: pyproject.toml constraints.txt $(KERNELS) | $(BIN)/python
	$(PIP) install -c constraints.txt -e .
	@touch $@

.venv/ready-dev: pyproject.toml constraints.txt $(KERNELS) | $(BIN)/python
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@ .venv/ready

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "trueline needs Python 3.11 or newer as $(PYTHON); name another with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "$(PYTHON) cannot make a .venv; install its venv module (on Debian and Ubuntu: python3-venv)" >&2; exit 1; }
