# Lunula. `make demo` and `make test` need nothing but Python 3.11 and pip.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup gen models demo up test lint contract-accept format bench lock clean clean-data

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# The environment: exact versions with hashes, then this project on top, which generates lunula/ from protos/.
$(VENV)/.ready: locks/dev.txt pyproject.toml hatch_build.py $(shell find protos -name '*.proto')
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Lunula needs Python 3.11; say which with PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the environment (about a minute and a half) ..."
	@$(BIN)/pip install -q --require-hashes -r locks/dev.txt
	@$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

setup: $(VENV)/.ready models ## Make the environment, generate code from protos/, build text_encode

gen: $(VENV)/.ready ## Generate lunula/ from protos/ again
	@$(BIN)/python hatch_build.py

models: $(VENV)/.ready ## Build the model that is converted from a package (text_encode); a no-op once built
	@$(BIN)/python -m tools.text_encode.build --out triton_models/text_encode/1/model.onnx

demo: setup ## Start the services, index the sample catalogue, search it, write a page, stop
	@$(BIN)/lunula demo

up: setup ## Run the services until Ctrl-C
	@$(BIN)/lunula up

test: setup lint ## Check style and types, then run the tests (no torch)
	@$(BIN)/python -m pytest -m "not milvus_server and not triton and not torch"

test-full: setup lint triton milvus train-env ## Run every test: real Triton, real Milvus, training
	@$(BIN)/python -m pytest -m "not torch"
	@$(MAKE) --no-print-directory test-training

lint: $(VENV)/.ready ## Check style, types, import rules, declared dependencies and the contract
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/deptry . --no-ansi
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code
	@$(BIN)/python -m tools.contract_gate check

contract-accept: $(VENV)/.ready ## Accept the contract as it is now (BREAKING=yes: also where it breaks callers)
	@$(BIN)/python -m tools.contract_gate accept $(if $(BREAKING),--breaking)

format: $(VENV)/.ready ## Format code and contract
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/buf format -w

bench: setup ## Measure what things cost, each beside a named reference in the same run
	@$(BIN)/python -m bench

lock: ## Resolve the locks anew (needs uv)
	uv pip compile -q --no-header --no-emit-index-url --generate-hashes pyproject.toml \
	  --extra crop --extra embed --extra rank --extra classify --extra cli --extra dev -o locks/dev.txt
	@$(MAKE) --no-print-directory lock-train

# Everything that a target above makes again: environments, generated and converted files, reports, caches.
BUILT := .venv .venv-train .venv-yolo lunula build dist reports triton_models/text_encode/1 \
  triton_models/text_encode/*.model .lunula/triton .lunula/milvus-venv \
  .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
# What nobody can make again in a minute: catalogues and photos, trained runs, data sets.
DATA := .lunula runs datasets

clean: ## Remove what was built here; catalogues, runs and data sets stay
	rm -rf $(BUILT)
	@find . $(foreach folder,.git $(DATA),-path ./$(folder) -prune -o) -name __pycache__ -prune -exec rm -rf {} +

clean-data: ## Delete catalogues, runs and data sets; asks first (CONFIRM=yes answers)
	@for folder in $(DATA); do if [ -e $$folder ]; then du -sh $$folder; fi; done
	@if [ "$(CONFIRM)" = yes ]; then answer=yes; \
	  elif [ -t 0 ]; then printf 'Delete all of this for good? Type yes: '; read -r answer; \
	  else echo "Nothing was deleted: run this in a terminal, or say CONFIRM=yes." >&2; exit 1; fi; \
	  if [ "$$answer" = yes ]; then rm -rf $(DATA); else echo "Nothing was deleted."; fi

-include make/*.mk
