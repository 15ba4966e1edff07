# `make train` and `make test` set up what is missing and run; everything is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SETUP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup train test lint clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(SETUP) ## install everything into .venv

train: $(SETUP) ## run the main job: stage 3 with the progress reward on live BFCL episodes (pass more with ARGS="…")
	$(BIN)/python train.py stage=3 reward=progress $(ARGS)

test: lint ## run the linters and all tests
	$(BIN)/python -m pytest $(ARGS)

lint: $(SETUP) ## run only the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(SETUP): setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 10) <= sys.version_info < (3, 13) else f"envtune needs Python 3.10-3.12, this is {sys.version.split()[0]}; name another with make PYTHON=python3.11 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	# torch first and exactly: left to its dependants, pip would take the newest build there is.
	$(PIP) install -q -c constraints.txt torch
	$(PIP) install -q -c constraints.txt -e '.[test,lint]'
	# bfcl-eval pins numpy, filelock and networkx to old versions and pulls some eighty vendor SDKs for models that are
	# not used here. Its data files, tool classes and checker need only mpmath, which setup.py asks for.
	$(PIP) install -q -c constraints.txt --no-deps bfcl-eval
	touch $@

clean: ## remove .venv and caches (never runs/)
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
