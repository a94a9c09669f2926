# Two commands matter: `make demo` and `make test`. Both do all the set-up that they need.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
DIR ?=
WORKERS ?= 2

.PHONY: help demo test test-all lint format bench up clean

help: ## Show what there is to do
	@echo "Bonafides: verifiable micro-credentials with evidence, anchored and checkable without the issuer."
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then echo "make: Python 3.11, 3.12 or 3.13 is needed; none is on PATH" >&2; exit 1; fi
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		echo "make: this Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)

# uv is taken from PATH where it is there and fits, else it is installed beside the project's packages.
$(STAMP): pyproject.toml uv.lock | $(BIN)/python
	@if ! $(UV) --version 2>/dev/null | grep -qE '^uv 0\.13\.'; then \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.13,<0.14'; fi
	@uv=$(UV); $$uv --version 2>/dev/null | grep -qE '^uv 0\.13\.' || uv=$(BIN)/uv; \
		VIRTUAL_ENV= UV_PYTHON=$(CURDIR)/$(BIN)/python UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(VENV) \
		$$uv sync --frozen --all-extras --quiet --inexact --compile-bytecode
	@touch $@

demo: $(STAMP) ## The whole loop, on real input: issue, anchor, hold, present, verify, revoke (DIR=folder keeps what it made)
	@$(BIN)/bonafides demo $(if $(DIR),--dir "$(DIR)")

up: $(STAMP) ## All roles running with the sample cohort, until Ctrl-C
	@$(BIN)/bonafides demo --up $(if $(DIR),--dir "$(DIR)")

test: $(STAMP) ## The tests that need nothing but Python
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup -m "not node_js and not anvil and not chromium and not postgres and not wheel and not exhaustive"

test-all: $(STAMP) ## Every test, whole where `test` tries some of the cases: also those that need Node.js, Anvil, Chromium, PostgreSQL or uv
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup -m "not sampled"

lint: $(STAMP) ## Format check, lint and types
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/mypy bench

format: $(STAMP) ## Format the code and mend what the linter can mend
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

bench: $(STAMP) ## Speed as ratios, measured in one run
	@$(BIN)/python -m bench

clean: ## Remove what was built here
	@rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
