# Everything a developer runs. `make` lists the targets.
#
# Needed: make, and Python 3.11 or newer with its venv module. The rest is installed into .venv,
# from the lock files.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The newest Python that runs and is new enough. A name on the PATH proves nothing (version
# managers put one there for every Python they know), so each is started.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$python; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Three workers: the suite is made for two cores, and much of its time is waiting.
PYTEST_FLAGS ?= -n 3
# More arguments for `demo` and `run`: make demo ARGS="--seconds 10 --plain"
ARGS ?=
IMAGE ?= arbees-feed
# An old one would stay, and be tested, where a new one cannot be built.
COMPILED := arbees_feed/native/*.so
UV_FLAGS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" --quiet

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# -- environment --------------------------------------------------------------------------------

# Each stamp is newer than what it was made from, so that a second `make` does nothing.
# `demo` and `run` need the runtime lock only: a first try is quick.
$(VENV)/.made:
	@if [ -z "$(PYTHON)" ]; then \
		echo "arbees-feed needs Python 3.11 or newer with its venv module, and found none." >&2; \
		echo "Install it (on Debian: apt-get install python3 python3-venv), or name it:" >&2; \
		echo "    make PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	fi
	$(PYTHON) -m venv $(VENV)
	@touch $@

# The part in C is built where there is a compiler, and done without where there is none.
$(VENV)/.runtime: $(VENV)/.made requirements.lock requirements-build.lock pyproject.toml $(wildcard arbees_feed/native/*.[ch])
	$(PIP) install --require-hashes --no-deps -r requirements.lock -r requirements-build.lock
	@rm -f $(COMPILED)
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

$(VENV)/.docs: $(VENV)/.runtime requirements-docs.lock
	$(PIP) install --require-hashes --no-deps -r requirements-docs.lock
	@touch $@

$(VENV)/.bench: $(VENV)/.dev requirements-bench.lock
	$(PIP) install --require-hashes --no-deps -r requirements-bench.lock
	@touch $@

.PHONY: venv
venv: $(VENV)/.dev ## Make .venv from the lock files (quick when it is there)

.PHONY: lock
lock: $(VENV)/.made ## Make the lock files anew from pyproject.toml (newest versions: UPGRADE=--upgrade)
	$(PIP) install 'uv>=0.9'
	$(BIN)/uv pip compile $(UV_FLAGS) $(UPGRADE) pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile $(UV_FLAGS) $(UPGRADE) pyproject.toml --group dev --group clients \
		--constraints requirements.lock --output-file requirements-dev.lock
	$(BIN)/uv pip compile $(UV_FLAGS) $(UPGRADE) --group build --output-file requirements-build.lock
	$(BIN)/uv pip compile $(UV_FLAGS) $(UPGRADE) --group bench \
		--constraints requirements-dev.lock --output-file requirements-bench.lock
	$(BIN)/uv pip compile $(UV_FLAGS) $(UPGRADE) --group docs \
		--constraints requirements-dev.lock --output-file requirements-docs.lock

# -- use ----------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.runtime ## Watch live prices from simulated venues: no account, no network, no Docker
	@$(BIN)/arbees-feed demo $(ARGS)

.PHONY: demo-shard
demo-shard: $(VENV)/.runtime ## Watch the example game shard find opportunities on simulated venues
	@cd examples && exec ../$(BIN)/python -m game_shard.demo $(ARGS)

.PHONY: rehearse-shard
rehearse-shard: $(VENV)/.dev ## Plant opportunities for the example game shard and judge what it finds
	@PYTHONPATH=tests:examples:tests/examples $(BIN)/python -m shard_rehearsal $(ARGS)

.PHONY: run
run: $(VENV)/.runtime ## Run the feed against the real venues
	@$(BIN)/arbees-feed run $(ARGS)

.PHONY: docker
docker: ## Build the container image
	docker build --tag $(IMAGE) .

# -- checks -------------------------------------------------------------------------------------

.PHONY: check
check: lint types test ## What CI runs: lint, types, test

.PHONY: test
test: $(VENV)/.dev ## Run the tests (more arguments: PYTEST_FLAGS="-x -k book")
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

.PHONY: lint
lint: $(VENV)/.dev ## Check format, style and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo

.PHONY: types
types: $(VENV)/.dev ## Check types (mypy --strict)
	$(BIN)/mypy
	MYPYPATH=examples $(BIN)/mypy -p game_shard

.PHONY: format
format: $(VENV)/.dev ## Format the code and sort imports
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --select I .

.PHONY: bench
bench: $(VENV)/.dev ## Measure every goal of speed in under 5 minutes (one section: ARGS="--only cpu")
	$(BIN)/python benchmarks/speed.py $(ARGS)

.PHONY: readers
readers: $(VENV)/.dev ## Show what the reader promises: joins, losses, kills, a slow consumer (7 minutes)
	$(BIN)/python benchmarks/readers.py $(ARGS)

.PHONY: peers
peers: $(VENV)/.dev ## Measure other clients beside the feed, each in an environment of its own
	$(BIN)/python benchmarks/peers.py $(ARGS)

.PHONY: plots
plots: $(VENV)/.bench ## Draw the pictures of docs/performance.md from what was measured
	$(BIN)/python benchmarks/plots.py $(ARGS)

.PHONY: docs
docs: $(VENV)/.docs ## Build the documents as a site into build/site (a dead link is an error)
	$(BIN)/python docs/configuration_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file config/mkdocs.yml

.PHONY: reliability
reliability: $(VENV)/.dev ## Try every fault (20 minutes) and write the tables of docs/reliability.md
	$(BIN)/python benchmarks/reliability.py

.PHONY: fuzz
fuzz: $(VENV)/.dev ## Feed mutated frames to the decoders for FUZZ_SECONDS (60); a failing input is kept
	PYTHONPATH=tests $(BIN)/python -m properties.fuzz

.PHONY: clean
clean: ## Remove .venv, caches and what builds leave behind
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .coverage
	rm -f $(COMPILED)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
