# Everything a person does with Hedgerow from a shell. `make` alone lists the targets.

PYTHON ?= python3
PY := .venv/bin/python
UV := UV_PYTHON_DOWNLOADS=never $(shell command -v uv || echo .venv/bin/uv)
PRODUCT := $(patsubst %/,%,$(sort $(dir $(wildcard platform/ $(foreach room,accounts strategies markets bot,$(room)/*.py)))))
BENCHMARKS := $(filter-out %_sink.py,$(wildcard benchmarks/*.py))

# Most tests wait for real processes; three at once keep two cores busy. A file's tests stay together.
AT_ONCE := -n 3 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup dev run stop status test check lint format types contracts lock faults pictures bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with the pinned packages
	@$(PYTHON) deploy/bootstrap.py

dev: ## setup, and all that the tests and checks need
	@$(PYTHON) deploy/bootstrap.py --dev --browser

run: setup ## run the whole system on this machine (HEDGEROW_PORT=8000, ARGS="--accounts 10"); Ctrl-C stops it
	@exec $(PY) -m embedded run $(ARGS)

stop: ## stop the system that `make run` started
	@$(PY) -m embedded stop

status: ## show the processes of the system that `make run` started
	@$(PY) -m embedded status

test: dev ## all tests (ARGS="tests/embedded -k port" for some)
	@$(PY) -m pytest $(or $(ARGS),$(AT_ONCE))

check: dev ## the whole truth: format, lint, contracts, types, Django's checks, migrations, tests
	@$(PY) deploy/check.py $(AT_ONCE)

lint: dev ## ruff: format and rules, changing nothing
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .

format: dev ## ruff: format and fix what can be fixed
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

types: dev ## mypy --strict
	@$(PY) -m mypy $(PRODUCT)

contracts: dev ## import-linter: who may import whom
	@.venv/bin/lint-imports

lock: dev ## pin requirements*.in anew (needs a network)
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-package pandas --no-emit-package pyarrow requirements.in -o requirements.txt
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes deploy/requirements-uv.in -o deploy/requirements-uv.txt
	@! grep -nE '://' requirements.txt requirements-dev.txt deploy/requirements-uv.txt # no package index may be named in a lock

faults: dev ## kill every step of the path in turn, stop under load, race engines (about fourteen minutes)
	@$(PY) -m pytest -m faults -p no:cacheprovider tests/faults $(ARGS)

pictures: dev ## take all of docs/pictures anew, on desks of its own (ARGS="--folder /tmp/pictures" for elsewhere)
	@PYTHONPATH=.:platform $(PY) -m tests.browser.pictures $(ARGS)

bench: dev ## the benchmarks; each prints one JSON line last
	@for file in $(BENCHMARKS); do echo "== $$file" && $(PY) $$file || exit 1; done

clean: ## remove caches; .venv and var/ stay
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles
	@find . -name __pycache__ -not -path './.venv/*' -not -path './var/*' -prune -exec rm -rf {} +
