# Every target builds its own environment in .venv; nothing has to be installed first but Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Test files run side by side, each whole in one process: what the tests of a file share is made once.
# Two processes more than processors: many of the tests wait. In the order of the folders, so that the
# short files of tests/unit come last, and no process works alone on a long one at the end.
N_WORKERS := $(shell $(PYTHON) -c 'import os; print(min(4, 2 + (os.cpu_count() or 1)))')
PYTEST_WORKERS ?= --numprocesses $(N_WORKERS) --dist loadfile --no-loadscope-reorder
# These tests share nothing, and some of them take minutes.
SPREAD ?= --numprocesses $(N_WORKERS) --dist worksteal
# Tests start hundreds of processes, which should not compile the library again.
unexport PYTHONDONTWRITEBYTECODE

# Without these pyright asks whether a newer release exists, and prefers any node on the machine.
PYRIGHT := PYRIGHT_PYTHON_IGNORE_WARNINGS=1 PYRIGHT_PYTHON_GLOBAL_NODE=0 $(BIN)/pyright

.PHONY: demo shells browser postgresql test pytest coverage thorough fuzz lint format bench bench-lake bench-server bench-pages docs dist constraints clean

$(READY): pyproject.toml constraints.txt hatch_build.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "runlake needs Python 3.11 or newer; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/runlake demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
# Without its cache, which has hidden a circle that was there.
	$(BIN)/lint-imports --no-cache
	$(BIN)/lint-imports --no-cache circles.toml
	$(PYRIGHT) --pythonpath $(BIN)/python
	$(BIN)/zizmor --quiet --offline --persona pedantic .github

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

# Charts are tested in a real browser too. Without one these tests are skipped, and fail if CI is set.
browser:
	@for program in chromium chromium-browser google-chrome; do \
	  command -v $$program >/dev/null && exit; done; \
	test "$$(id -u)" != 0 || ! command -v apt-get >/dev/null || { \
	  timeout 60 apt-get -o Acquire::Retries=0 update -qq && \
	  DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -qq -y --no-install-recommends chromium; \
	} >/dev/null 2>&1 || echo "Not installed: chromium"

# Several writers of a published lake share a database, which the tests start themselves.
postgresql:
	@test -n "$$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null)" || test "$$(id -u)" != 0 || \
	! command -v apt-get >/dev/null || { \
	  timeout 60 apt-get -o Acquire::Retries=0 update -qq && \
	  DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -qq -y --no-install-recommends postgresql; \
	} >/dev/null 2>&1 || echo "Not installed: postgresql"

# Linters run beside the tests, because mypy keeps one processor busy and no more. What they say
# comes at once when they have ended.
test: $(READY)
	@log=$$(mktemp) && start=$$(date +%s); \
	( $(MAKE) lint >"$$log" 2>&1; failed=$$?; cat "$$log"; rm "$$log"; \
	  echo "make lint took $$(($$(date +%s) - start)) s."; exit $$failed ) & linters=$$!; \
	$(MAKE) pytest; failed=$$?; \
	wait $$linters || failed=1; exit $$failed

pytest: $(READY) shells browser
	$(BIN)/python -m pytest $(PYTEST_WORKERS) $(PYTEST_ARGS)

coverage: $(READY) shells browser
	$(BIN)/python -m pytest $(PYTEST_WORKERS) --cov --cov-report=term --cov-report=html $(PYTEST_ARGS)

# What takes minutes, or needs a package registry: the built wheel, older SDKs, many examples of
# each property, and many mutated files. Each pytest says how long it took.
thorough: $(READY) browser postgresql
	$(BIN)/python -m pytest $(PYTEST_WORKERS) -m thorough --timeout 1200 $(PYTEST_ARGS)
	$(BIN)/python -m pytest $(SPREAD) --hypothesis-profile thorough --timeout 1200 tests/property
	$(MAKE) fuzz

# More processes than processors: readers of a broken export wait before they download it again.
fuzz: $(READY)
	$(BIN)/python -m pytest --numprocesses 8 --dist worksteal --hypothesis-profile thorough \
	  --timeout 1800 tests/fuzz

# `make bench ROWS="sql frames"` measures only these rows.
bench: $(READY)
	$(BIN)/python -m benchmarks $(ROWS)

# The embedded backend at size: exports, lists, logging, memory.
bench-server: $(READY)
	$(BIN)/python -m benchmarks.server

# The pages in a real Chromium, beside trackio's dashboard where that can be installed.
bench-pages: $(READY) browser
	$(BIN)/python -m benchmarks.pages $(ROWS)

# Packed tables and catalogs at size: ten minutes, 8 GB of disk. `make bench-lake ROWS="--runs 200 fill pack reads"`
# measures less.
bench-lake: $(READY)
	$(BIN)/python -m benchmarks.lake_goals $(ROWS)

docs: $(READY)
	$(BIN)/python -m tests.conformance.render
	$(BIN)/python -m tests.docs.draw_pictures
	$(BIN)/python -m tests.docs.draw_pages
	$(BIN)/python -m pytest --quiet tests/docs

dist: $(READY)
	$(BIN)/python -m build --outdir dist

# The newest releases that the ranges in pyproject.toml allow, as a new environment gets them.
constraints:
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]'
	build/constraints/bin/python -m pip freeze --exclude runlake > constraints.txt

clean:
	rm -rf $(VENV) .venvs build dist .coverage* htmlcov
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
