# Everything here sets itself up: a Python of 3.11 or newer with venv, and a package registry, are all it takes.
# The distribution's own is preferred: it is built with profile-guided optimisation, which most version managers leave
# out, and takes a tenth off every claim. Where it is too old, or lacks venv, it is the first on the PATH.
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo /usr/bin/python3 || echo python3)

# A Python that is named has an environment of its own: .venv-3.13 for PYTHON=python3.13. So the tests on one version
# leave the environment of another as it is. VENV=.venv makes the named Python the usual one.
ifeq ($(origin PYTHON),file)
VENV ?= .venv
else
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ifeq ($(VERSION),)
$(error PYTHON=$(PYTHON) cannot be run)
endif
VENV ?= .venv-$(VERSION)
endif
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Empty: what fits VISITS.
POOL ?=
SECONDS ?=
VISITS ?= none
DROP_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=
FAULTS_ARGS ?=

# bash gives SECONDS a meaning of its own; a plain shell does not, and the drop gets it as an option.
SHELL := /bin/sh

.DEFAULT_GOAL := help
.PHONY: help setup drop test bench faults check hooks clean

help: ## print this list
	@echo "claimd: the engine under the button of a public drop"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make drop POOL=30000 SECONDS=10    a small drop; DROP_ARGS=--help for all its options"
	@echo "  make drop SECONDS=0                as fast as it goes: how soon the whole pool is gone"
	@echo "  make drop VISITS=whole             the whole evening: 360,000 people gather, get a pass, claim, look"
	@echo "  make test TEST_ARGS=tests/engine   some of the tests; any option of pytest"
	@echo "  make test PYTHON=python3.13        on another Python, in an environment of its own (.venv-3.13)"

setup: $(READY) ## make the environment, for .venv/bin/claimd; every other target does so, too

drop: $(READY) ## reproduce the drop: 1,500,000 packs in 105 s, audited (exit 0 pass, 1 fail, 2 invalid)
	@$(BIN)/python -m loadtest.drop --visits $(VISITS) $(POOL:%=--pool %) $(SECONDS:%=--seconds %) $(DROP_ARGS)

test: $(READY) ## every test, on embedded servers (and on redis-server where one is installed)
	$(BIN)/python -m pytest $(TEST_ARGS)

bench: $(READY) ## what a claim and a visit cost here and elsewhere: claimd and the usual ways, side by side, in about 10 minutes
	@$(BIN)/python -m loadtest.bench $(BENCH_ARGS)

faults: $(READY) ## break it in every way under load and check every answer that clients got, in about 20 minutes
	@$(BIN)/python -m loadtest.faults $(FAULTS_ARGS)

# The hooks of .pre-commit-config.yaml run the same commands; a test compares the two.
check: $(READY) ## lint, types, layers, Dockerfile, Lua: what CI runs before the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	.ci/luacheck $(BIN)/python

hooks: $(READY) ## run these checks at each commit, on what is committed (pre-commit)
	$(BIN)/pre-commit install

clean: ## remove the environments and what drops and tests left
	rm -rf .venv .venv-* loadtest/out .claimd .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "claimd needs Python 3.11 or newer; name one with make PYTHON=python3.12 VENV=.venv")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[load,bench,dev]'
	@touch $@
