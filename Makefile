# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Needs make, Python 3.11 or later, and Go for the control plane that tests and `make run` start.
# Every other tool is in .venv, which is made when a target first needs it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

BIN := .venv/bin
PYTHON_FILES := llamastack_operator controller informers workqueue api configs hack tests

# What one may set: make test PYTEST_ARGS='-k election -x'
PYTEST_ARGS ?=
N ?= 1000
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMG ?= llamastack-operator:$(VERSION)
KUBECTL ?= kubectl
CONTAINER_TOOL ?= $(shell command -v podman || command -v docker)
UPGRADE ?=
UPDATE ?=

# Measured are the tests below a real API server: they are to reach the code by themselves.
MEASURED_TESTS = LLAMASTACK_OPERATOR_COVERAGE=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	-m 'not (apiserver or servers or bench or matrix or e2e)'

##@ Start here

.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9.-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@printf '\nA part of the tests: make test-fast PYTEST_ARGS="-k election"\n'

.PHONY: run
run: .venv ## See it work: a cluster if KUBECONFIG names none, the operator, a sample
	@$(BIN)/python -m hack.quickstart

.PHONY: test
test: lint type binaries servers ## Run every check and every test
ifeq ($(strip $(PYTEST_ARGS)),)
	@{ $(MEASURED_TESTS) && rm -f build/coverage/part && $(BIN)/python -m hack.coverage; } || failed=1; \
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
	  -m '(apiserver or servers) and not (bench or matrix or e2e)' || failed=1; \
	$(BIN)/python -m pytest -m 'bench or matrix' || failed=1; \
	exit $${failed:-0}
else
	$(BIN)/python -m pytest $(PYTEST_ARGS)
endif

.PHONY: e2e
e2e: .venv ## Run the operator and real servers in containers on a real node; needs root on Linux
	@$(BIN)/python -m hack.cluster.node check
	@$(BIN)/python -m hack.cluster binaries
	$(BIN)/python -m pytest -m e2e tests/e2e $(PYTEST_ARGS)

##@ While developing

.PHONY: test-fast
test-fast: .venv ## Run the tests that need neither an API server nor Llama Stack servers
	$(BIN)/python -m pytest -m 'not apiserver and not servers and not e2e' $(PYTEST_ARGS)

.PHONY: coverage
coverage: .venv ## Measure what those tests reach; UPDATE=1 writes the figures that may not fall
	$(MEASURED_TESTS) $(PYTEST_ARGS)
	@$(if $(PYTEST_ARGS),touch,rm -f) build/coverage/part
	@$(BIN)/python -m hack.coverage --map $(if $(PYTEST_ARGS),--part,$(if $(UPDATE),--update))

.PHONY: format
format: .venv ## Format the code, fix what can be fixed automatically
	$(BIN)/ruff format $(PYTHON_FILES)
	$(BIN)/ruff check --fix $(PYTHON_FILES)

.PHONY: lint
lint: .venv ## Check form, style, import rules and spelling
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/lint-imports
	$(BIN)/codespell

.PHONY: type
type: .venv ## Check types
	$(BIN)/mypy

.PHONY: verify
verify: lint type ## Check everything but behaviour: also headers, generated files, lock files
	$(BIN)/python -m pytest -q tests/unit/repository/test_repository.py tests/unit/deploy/test_deploy_manifests.py

.PHONY: bench
bench: binaries ## Measure with N resources (1000) beside a bare client; a table and JSON
	@$(BIN)/python -m tests.bench -n $(N) --everything

.PHONY: bench-configs
bench-configs: .venv ## Measure the config engine: time and memory for three sizes, and 1,000 resources
	@$(BIN)/python -m tests.bench.bench_configs

.PHONY: bench-external
bench-external: .venv ## Measure what external providers add to the start of a pod; a table
	@$(BIN)/python -m tests.bench.bench_external

##@ Generated files

.PHONY: crd
crd: .venv ## Make deploy/crd, policy, webhook and install.yaml, and tables in docs, from the code
	$(BIN)/python -m hack.generated

.PHONY: api-fields
api-fields: binaries ## Make the data on fields of children from what the API server says of them
	@$(BIN)/python -m hack.api_fields

.PHONY: catalogue
catalogue: .venv servers ## Make configs/data/catalogue.json from the installed Llama Stack servers
	@$(BIN)/python -m hack.catalogue

.PHONY: matrix
matrix: servers ## Boot real servers with every kind of config; the tables of docs/compatibility.md
	$(BIN)/python -m tests.support.matrix --write

.PHONY: lock
lock: .venv ## Bring the lock files in line with pyproject.toml; UPGRADE=1 takes newer versions
	$(call compile,pyproject.toml,requirements.lock)
	$(call compile,pyproject.toml --extra dev,requirements-dev.lock)
	$(call compile,--group build,requirements-build.lock)

compile = $(BIN)/uv pip compile -q $(1) --universal --python-version 3.11 --generate-hashes \
	--no-annotate $(if $(UPGRADE),--upgrade) --custom-compile-command 'make lock' -o $(2)

##@ Programs and images

.PHONY: binaries
binaries: .venv ## Obtain etcd, the Kubernetes programs and kwok; once, up to 10 minutes
	@$(BIN)/python -m hack.cluster binaries

.PHONY: servers
servers: .venv ## Install the Llama Stack servers that configs are proven with; once, a minute or two
	@$(BIN)/python -m hack.servers install

.PHONY: validate-configs
validate-configs: .venv servers ## Hold every base config against the servers of its era
	@$(BIN)/python -m hack.validate_configs

.PHONY: image
image: ## Build the container image IMG
	@test -n "$(CONTAINER_TOOL)" || { echo "error: podman or docker is needed" >&2; exit 1; }
	$(CONTAINER_TOOL) build -t $(IMG) -f Containerfile \
	  --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse --short HEAD) .

##@ The cluster that KUBECONFIG names

.PHONY: install
install: .venv ## Teach the cluster the resource: CRD and admission policy
	$(BIN)/python -m llamastack_operator install

.PHONY: uninstall
uninstall: .venv ## Take the resource out of the cluster; refuses while there are any
	$(BIN)/python -m llamastack_operator uninstall

.PHONY: deploy
deploy: ## Run the operator in the cluster, from the image IMG
	@command -v $(KUBECTL) >/dev/null || { echo "error: kubectl is needed" >&2; exit 1; }
	$(KUBECTL) kustomize deploy/default | sed 's|image: llamastack-operator:.*|image: $(IMG)|' | \
	  $(KUBECTL) apply --server-side -f -

##@ Housekeeping

.PHONY: clean
clean: ## Remove .venv and caches; not the control plane's programs
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: .venv
.venv: .venv/.stamp

.venv/.stamp: requirements-dev.lock pyproject.toml hack/venv.sh
	@PYTHON="$(PYTHON)" hack/venv.sh
	@touch $@
