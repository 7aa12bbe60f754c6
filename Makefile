# Fairlead. `make help` lists the targets. CI calls these and nothing else.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3 python3.13 python3.12; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
STAMP  := $(VENV)/.ready
WEB    := operators/fairlead/workbench/static/vendor/.ready
SOURCES = $(shell find web hatch_build.py -not -path '*/node_modules/*' -type f 2>/dev/null)

export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo test test-k8s system-deps opensearch lock fmt lint type unit live browser charts docs bench coverage clean

help: ## List every target.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make .venv with Fairlead, its pinned dependencies and the web assets.

$(STAMP): constraints.txt pyproject.toml hatch_build.py $(SOURCES)
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 12)' 2>/dev/null || { echo "Python >= 3.12 is needed; found $$($(PYTHON) -V 2>&1). Set PYTHON=/path/to/python3.13"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/pip install --quiet --disable-pip-version-check uv==$$(sed -n 's/^uv==//p' constraints.txt)
	@$(UV) pip sync --quiet --python $(BIN)/python --compile-bytecode constraints.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: setup ## Run the whole way on real sample data: node, Airflow, cohort, approval, catalog.
	@$(BIN)/fairlead demo $(ARGS)

test: setup ## Run every check that this machine can; name those it cannot.
	@$(MAKE) --no-print-directory lint type
	tools/test

lint: setup ## Check format, style, room laws and spelling.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/codespell README.md CONTRIBUTING.md CHANGELOG.md docs operators dags configs charts tests

type: setup ## Check types (mypy strict).
	$(BIN)/mypy

fmt: setup ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

unit: setup ## Run the tests that need no server (one file: make unit ARGS=tests/cohort/test_compile.py).
	$(BIN)/pytest -m "not live and not browser and not slow" $(ARGS)

live: setup ## Run the tests against real servers.
	$(BIN)/pytest -m live $(ARGS)

browser: setup ## Run the tests in headless Chromium; pictures of every view are in .screenshots/ afterwards.
	FAIRLEAD_SCREENSHOTS=$${FAIRLEAD_SCREENSHOTS:-$(CURDIR)/.screenshots} $(BIN)/pytest -m browser $(ARGS)

charts: setup ## Lint, render and validate the Helm charts.
	$(BIN)/pytest tests/charts $(ARGS)

test-k8s: setup ## Install the charts on a real Kubernetes API server, built once (10 CPU minutes, Go 1.26, 5 GB for Go's caches).
	tools/kubernetes/kube-up.sh --build
	$(BIN)/pytest tests/charts/cluster $(ARGS)

system-deps: ## Install the Debian packages that live and browser tests need (root).
	tools/system-deps

opensearch: setup ## Start a real OpenSearch on loopback without containers.
	tools/opensearch-up.sh

lock: ## Refresh constraints.txt from pyproject.toml.
	@test -x $(UV) || { $(PYTHON) -m venv $(VENV); $(BIN)/pip install --quiet uv; }
	$(UV) pip compile --quiet --universal --python-version 3.12 --extra dev --no-emit-index-url --no-annotate --no-header --upgrade --output-file constraints.txt pyproject.toml

docs: setup ## Build the documentation site into site/.
	$(BIN)/mkdocs build --strict --quiet

bench: setup ## Run the benchmarks and print ratios against peers.
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## Remove everything that make setup built.
	rm -rf $(VENV) operators/fairlead/workbench/static/vendor operators/fairlead/convert/static/viewer web/node_modules dist site
