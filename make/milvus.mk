# The real Milvus server, for the tests marked milvus_server, in a separate environment.
MILVUS_VENV := .lunula/milvus-venv

.PHONY: milvus milvus-up test-milvus lock-milvus

$(MILVUS_VENV)/.ready: locks/milvus.txt
	@echo "Installing the Milvus server ..."
	@$(PYTHON) -m venv $(MILVUS_VENV)
	@$(MILVUS_VENV)/bin/pip install -q --no-deps --require-hashes -r locks/milvus.txt
	@touch $@

milvus: $(VENV)/.ready $(MILVUS_VENV)/.ready ## Install the real Milvus server; start it, ask its version, stop it
	@$(BIN)/python -m tools.milvus_server --check

milvus-up: $(VENV)/.ready $(MILVUS_VENV)/.ready ## Run the real Milvus server on port 29530 until Ctrl-C
	@$(BIN)/python -m tools.milvus_server --data .lunula/milvus-server --port 29530

test-milvus: milvus ## Run RankService's tests against the real Milvus server
	@$(BIN)/python -m pytest -m milvus_server tests

lock-milvus: ## Pin the Milvus server again (needs uv)
	@echo milvus==2.3.5 | uv pip compile -q --no-header --no-emit-index-url --generate-hashes - -o locks/milvus.txt
