# The real Triton server, for machines without its container, in a separate environment under .lunula/triton.
.PHONY: triton triton-up test-triton lock-triton

triton: $(VENV)/.ready models ## Install the real Triton server; start it, run every model once, stop it
	@$(BIN)/python -m tools.triton_install
	@$(BIN)/python -m tools.tritonserver --port 0 --check

triton-up: triton ## Run the real Triton server on port 7001 until Ctrl-C
	@$(BIN)/python -m tools.tritonserver --port 7001

test-triton: triton ## Run the inference tests against the real Triton server
	@$(BIN)/python -m pytest -m triton tests

lock-triton: ## Pin the environment of the server's Python processes again (needs uv)
	@printf 'numpy<2\nonnxruntime==1.31.1\n' | uv pip compile -q --no-header --no-emit-index-url \
	  --generate-hashes --python-version 3.11 - -o locks/triton-stub.txt
	@echo nvidia-pytriton==0.7.0 | uv pip compile -q --no-header --no-emit-index-url --no-deps \
	  --generate-hashes - -o locks/triton.txt
