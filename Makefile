# The verbs of the project; people and CI use the same ones. Each makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test test-vm check bench clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml scripts/setup
	@PYTHON="$(PYTHON)" scripts/setup $(VENV)
	@touch $@

demo: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo

test: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/test

test-vm: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/test-vm

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
