# Everything here sets itself up: a Python of 3.11 or newer with venv, and a package registry, are all it takes.
# The distribution's own is preferred: it is built with profile-guided optimisation, which most version managers leave
# out, and takes a tenth off every claim. Where it is too old, or lacks venv, it is the first on the PATH.
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo /usr/bin/python3 || echo python3)
POOL ?= 1500000
SECONDS ?= 105
DROP_ARGS ?=
BENCH_ARGS ?=
FAULTS_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# bash gives SECONDS a meaning of its own; a plain shell does not, and the drop is told by flag.
SHELL := /bin/sh

.DEFAULT_GOAL := help
.PHONY: help drop test bench faults check clean

help: ## say this
	@echo "claimd: the engine under the button of a public drop"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make drop POOL=30000 SECONDS=10    a small drop; DROP_ARGS=--help for all it takes"
	@echo "  make drop SECONDS=0                as fast as it goes: how soon the whole pool is gone"

drop: $(READY) ## reproduce the drop: 1,500,000 packs in 105 s, audited (exit 0 pass, 1 fail, 2 invalid)
	@$(BIN)/python -m loadtest.drop --pool $(POOL) --seconds $(SECONDS) $(DROP_ARGS)

test: $(READY) ## every test, on embedded servers (and on redis-server where one is installed)
	$(BIN)/python -m pytest $(TEST_ARGS)

bench: $(READY) ## what a claim costs here and elsewhere: claimd and the usual ways, side by side, in about 6 minutes
	@$(BIN)/python -m loadtest.bench $(BENCH_ARGS)

faults: $(READY) ## break it in every way under load and check what people were told, in about 20 minutes
	@$(BIN)/python -m loadtest.faults $(FAULTS_ARGS)

check: $(READY) ## lint, types, layers, Lua, Dockerfile: what CI runs before the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	@if command -v luacheck >/dev/null; then luacheck --quiet lua loadtest/bench/peers; \
	else echo "luacheck is not installed (Debian: lua-check): the Lua lint was left out"; fi

clean: ## remove the environment and what drops and tests left
	rm -rf $(VENV) loadtest/out .claimd .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "claimd needs Python 3.11 or newer; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[load,bench,dev]'
	@touch $@
