# Every target builds its own environment in .venv; nothing has to be installed first but Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Test files run side by side, each whole in one process: what the tests of a file share is made once.
PYTEST_WORKERS ?= --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: demo shells test fuzz lint format bench docs clean

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "runlake needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/runlake demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/lint-imports circles.toml

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Completion is tested in the shells themselves. Where one is missing, and root may install it, it is
# installed; where that fails its test is skipped and says so.
shells:
	@for shell in zsh fish; do command -v $$shell >/dev/null || missing="$$missing $$shell"; done; \
	test -z "$$missing" || test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null || { \
	  timeout 60 apt-get -o Acquire::Retries=0 update -qq && \
	  DEBIAN_FRONTEND=noninteractive timeout 120 apt-get install -qq -y --no-install-recommends $$missing; \
	} >/dev/null 2>&1 || echo "Not installed:$$missing"

test: lint shells
	$(BIN)/python -m pytest $(PYTEST_WORKERS) $(PYTEST_ARGS)

fuzz: $(READY)
	$(BIN)/python -m pytest --hypothesis-profile thorough --timeout 0 tests/fuzz

bench: $(READY)
	$(BIN)/python -m benchmarks

docs: $(READY)
	$(BIN)/python -m tests.conformance.render
	$(BIN)/python -m pytest --quiet tests/docs

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
