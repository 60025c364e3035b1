# The YOLO-seg route, for people with labelled photos of their own: ultralytics (AGPL-3.0) and torch, in an
# environment separate from serving and from training.
YOLO_VENV := .venv-yolo
YOLO_BIN  := $(YOLO_VENV)/bin
# torch and torchvision must be builds for the same machine; pip's own settings choose them.
TORCHVISION := torchvision==0.28.0
# opencv-python is left out too: the headless build installs the same module, and they overwrite each other.
YOLO_LOCK_LEAVES_OUT := $(TRAIN_LOCK_LEAVES_OUT) torchvision opencv-python

.PHONY: yolo-env test-yolo lock-yolo

$(YOLO_VENV)/.ready: locks/yolo.txt pyproject.toml hatch_build.py $(shell find protos -name '*.proto')
	@test -x $(YOLO_BIN)/python || $(PYTHON) -m venv $(YOLO_VENV)
	@echo "Installing the YOLO environment ..."
	@$(YOLO_BIN)/pip install -q --no-deps --require-hashes -r locks/yolo.txt
	@$(YOLO_BIN)/pip install -q $(TORCH)
	@$(YOLO_BIN)/pip install -q --no-deps $(TORCHVISION)
	@$(YOLO_BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

yolo-env: $(YOLO_VENV)/.ready ## Make the environment of the YOLO-seg route (ultralytics, AGPL-3.0)

test-yolo: $(YOLO_VENV)/.ready ## Run the tests of the YOLO-seg route: convert, train, export, decode
	@$(YOLO_BIN)/python -m pytest -m yolo tests/training

lock-yolo: ## Pin the YOLO environment again (needs uv)
	@uv pip compile pyproject.toml --extra train --extra yolo --extra dev --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header -q -c locks/train.txt -o locks/yolo.txt \
	  $(foreach package,$(YOLO_LOCK_LEAVES_OUT),--no-emit-package $(package))
