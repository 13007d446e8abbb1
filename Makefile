.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup up down clean demo test test-all browser screenshots lint types bench requirements

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo '  make bench-NAME     run benchmarks/NAME.py alone, with ARGS="…" (- for _)'

setup: $(READY) ## make the environment .venv; the other targets do this themselves

# torch comes with pip, which takes whatever build it is configured for, and before the rest, which
# would otherwise pull the largest one. The marker is written last: an interrupted set-up goes on.
$(READY): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there: install Python 3.11, or name it: make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(PYTHON) is not Python 3.11"; exit 2; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)" "$$(grep '^uv==' requirements.txt)"
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

up: $(READY) ## start the embedded stack
	@$(BIN)/loganalyzer up

down: ## stop the embedded stack, keeping its data
	@test ! -x $(BIN)/loganalyzer || $(BIN)/loganalyzer down

clean: ## stop the embedded stack and forget its data
	@test ! -x $(BIN)/loganalyzer || $(BIN)/loganalyzer clean

demo: $(READY) ## logs in, anomalies out: sample logs, or LOGS=path [FORMAT=name]
	@$(BIN)/loganalyzer demo $(if $(LOGS),--logs '$(LOGS)') $(if $(FORMAT),--format '$(FORMAT)')

test: $(READY) ## the tests, without the slowest
	$(BIN)/pytest -m "not slow" $(ARGS)

test-all: $(READY) browser ## all the tests
	$(BIN)/pytest $(ARGS)

browser: ## install chromium, in which the pages are tested
	@command -v chromium >/dev/null || if [ "$$(id -u)" = 0 ]; \
	  then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
	  else echo "chromium is not there: sudo apt-get install chromium, or as your system has it"; exit 2; fi

screenshots: $(READY) browser ## take the pictures of the dashboard that the docs show
	LOGANALYZER_SCREENSHOTS=docs/images $(BIN)/pytest tests/integration/test_browser.py $(ARGS)

lint: $(READY) ## style, with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## types, with mypy
	$(BIN)/mypy

bench: $(READY) ## run every benchmark and write docs/benchmarks.md
	$(BIN)/python -m benchmarks

bench-%: $(READY)
	$(BIN)/python -m benchmarks.$(subst -,_,$*) $(ARGS)

requirements: $(READY) ## compile requirements.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --python $(BIN)/python --extra dev --no-header pyproject.toml -o requirements.txt
