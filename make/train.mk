# The training environment: torch and what training needs, separate from the serving environment.
TRAIN_VENV := .venv-train
TRAIN_BIN  := $(TRAIN_VENV)/bin
# pip's own settings choose the build of torch (CPU or CUDA); its version is fixed here.
TORCH      := torch==2.13.0
# Packages of the CUDA build, which installing torch adds where they are needed.
TRAIN_LOCK_LEAVES_OUT := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas \
  nvidia-cuda-cupti nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile \
  nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink \
  nvidia-nvshmem-cu13 nvidia-nvtx

.PHONY: train-env test-training lint-training lock-train

$(TRAIN_VENV)/.ready: locks/train.txt pyproject.toml hatch_build.py $(shell find protos -name '*.proto')
	@test -x $(TRAIN_BIN)/python || $(PYTHON) -m venv $(TRAIN_VENV)
	@echo "Installing the training environment ..."
	@$(TRAIN_BIN)/pip install -q --no-deps --require-hashes -r locks/train.txt
	@$(TRAIN_BIN)/pip install -q $(TORCH)
	@$(TRAIN_BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

train-env: $(TRAIN_VENV)/.ready ## Make the training environment (torch)

test-training: $(TRAIN_VENV)/.ready ## Run the tests that need torch
	@$(TRAIN_BIN)/python -m pytest -m torch tests/training

lock-train: ## Pin the training environment again (needs uv)
	@uv pip compile pyproject.toml --extra train --extra dev --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header -q -o locks/train.txt \
	  $(foreach package,$(TRAIN_LOCK_LEAVES_OUT),--no-emit-package $(package))

lint-training: $(TRAIN_VENV)/.ready ## Types of training against torch's own, which `make lint` does not have
	@$(TRAIN_BIN)/mypy -p training
