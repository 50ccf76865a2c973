# `make` alone lists what can be made. The virtual environment is set up, and renewed when a lock file changes, by
# whatever target needs it.

VENV := .venv
BIN := $(VENV)/bin
YARDSTICKS := .venv-yardsticks
LOCKS := deploy/locks
PYTHONS ?= 3.11 3.12 3.13 3.14
ARGS ?=
EXAMPLES ?=
SEED ?=
KILLS ?=
FILINGS ?=
WORKERS ?=
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 2)

# a start takes half as long when modules are compiled once; what that makes stays out of the tree
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test pythons latest lint fuzz chaos bench parts venv lock licences sbom clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.ready ## watch a made-up national sector live, without Docker or Java (ARGS="--headless --for 60s")
	@$(BIN)/guanlan demo $(ARGS)

test: $(VENV)/.ready ## run the tests on the most real broker there is (ARGS=tests/rules)
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup $(ARGS)

pythons: ## run the tests on every Python from 3.11 on that is here (PYTHONS=3.13 ARGS=tests/rules)
	@VERSIONS="$(PYTHONS)" deploy/parts/pythons.sh -n $(JOBS) --dist loadgroup $(ARGS)

latest: $(VENV)/.ready ## run the tests against the newest versions that pyproject.toml allows, not the locked ones
	@UV=$(BIN)/uv deploy/parts/latest.sh build/latest -n $(JOBS) --dist loadgroup $(ARGS)

lint: $(VENV)/.ready ## check style (ruff) and types (mypy)
	@$(BIN)/ruff check .
	@$(BIN)/mypy

fuzz: $(VENV)/.ready ## run the property tests with 10,000 examples each (ARGS=tests/rules; a share: EXAMPLES=500 SEED=7)
	@FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -m hypothesis --hypothesis-profile=fuzz --hypothesis-show-statistics \
		$(if $(SEED),--hypothesis-seed=$(SEED)) $(ARGS)

chaos: $(VENV)/.ready ## kill workers and Kafka at random and compare topics (SEED=11 KILLS=24 FILINGS=15000 WORKERS=2)
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS)) \
		$(if $(FILINGS),--filings $(FILINGS)) $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

bench: $(VENV)/.ready $(YARDSTICKS)/.ready ## measure what the README claims (ARGS="engine worker --quick")
	@$(BIN)/python -m benchmarks $(ARGS)

parts: ## install what tests can run against: Apache Kafka, Prometheus, Alertmanager, Chromium
	@deploy/parts/install.sh

venv: $(VENV)/.ready ## set up the virtual environment in .venv, from the lock file

lock: $(VENV)/.ready ## write the lock files again from pyproject.toml (ARGS=--upgrade takes the newest of everything)
	@UV=$(BIN)/uv $(LOCKS)/raise.sh $(ARGS)

licences: $(VENV)/.ready ## list the licences of all dependencies; fails where one is not on the list
	@$(BIN)/python -m deploy.parts.licences

sbom: $(VENV)/.ready ## write what the image holds as CycloneDX into build/sbom.json
	@UV=$(BIN)/uv deploy/parts/sbom.sh build/sbom.json

$(VENV)/.ready: pyproject.toml $(LOCKS)/dev.txt
	@deploy/parts/venv.sh $(VENV)
	@touch $@

$(YARDSTICKS)/.ready: pyproject.toml $(LOCKS)/yardsticks.txt
	@UV=$(BIN)/uv deploy/parts/venv.sh $(YARDSTICKS) $(LOCKS)/yardsticks.txt
	@touch $@

clean: ## remove the virtual environment, the parts in .parts, caches and local data
	rm -rf $(VENV) $(YARDSTICKS) .parts .guanlan .pytest_cache .hypothesis .mypy_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
