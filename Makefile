# `make` alone lists what can be made. The virtual environment is set up, and renewed when pyproject.toml changes,
# by whatever target needs it.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
EXAMPLES ?=
SEED ?=
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# a start takes half as long when modules are compiled once; what that makes stays out of the tree
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lint fuzz bench parts venv clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.ready ## watch a made-up national sector live, without Docker or Java (ARGS="--headless --for 60s")
	@$(BIN)/guanlan demo $(ARGS)

test: $(VENV)/.ready ## run the tests on the most real broker there is (ARGS=tests/rules)
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup $(ARGS)

lint: $(VENV)/.ready ## check style (ruff) and types (mypy)
	@$(BIN)/ruff check .
	@$(BIN)/mypy

fuzz: $(VENV)/.ready ## run the property tests with 10,000 examples each (ARGS=tests/rules; a share: EXAMPLES=500 SEED=7)
	@FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -m hypothesis --hypothesis-profile=fuzz --hypothesis-show-statistics \
		$(if $(SEED),--hypothesis-seed=$(SEED)) $(ARGS)

bench: $(VENV)/.bench ## measure what the README claims (ARGS="engine worker --quick")
	@$(BIN)/python -m benchmarks $(ARGS)

parts: ## install what tests can run against: Apache Kafka, Prometheus, Alertmanager, Chromium
	@deploy/parts/install.sh

venv: $(VENV)/.ready ## set up the virtual environment in .venv

$(VENV)/.ready: pyproject.toml
	@deploy/parts/venv.sh $(VENV)
	@touch $@

$(VENV)/.bench: $(VENV)/.ready
	@EXTRAS=bench deploy/parts/venv.sh $(VENV)
	@touch $@

clean: ## remove the virtual environment, the parts in .parts, caches and local data
	rm -rf $(VENV) .parts .guanlan .pytest_cache .hypothesis .mypy_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
