# Needs Debian 12's python3 and make; everything else is fetched on first use. `make help` lists the targets.

PYTHON ?= python3
BIN := .venv/bin
# The lock names every package, so pip has nothing to resolve.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
# Each file of the lock is known by its digest: what an index hands out instead is refused. A lock that `make lock`
# has not compiled since it writes digests has none yet.
PIP_INSTALL_LOCK := $(PIP_INSTALL) $(shell grep -q -e --hash=sha256: requirements.txt && echo --require-hashes)
# Each pytest worker starts its own servers; two fit two cores. PYTEST_WORKERS=0 runs in one process.
PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=
# Databases and stores of tests are written to memory where there is room: they wait for a disk thousands of times.
ROOM_IN_MEMORY := $(shell [ "$$(df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 {print $$4}')" -gt 6000 ] 2>/dev/null && echo /dev/shm)
SETTINGS_OF_PIP_COMPILE := --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --allow-unsafe

EXTRAS_OF_IMAGE := --extra postgresql --extra mysql --extra production --extra timestamp --extra celery --extra kubernetes

.DEFAULT_GOAL := help
.PHONY: help demo ui test test-slow package lint site rooms schemas lock bench clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: .venv/runtime.stamp  ## make a sample CRM, run a night on it, show what happened
	$(BIN)/lifecycle demo

ui: .venv/runtime.stamp  ## open Dagster's UI on this machine only
	@mkdir -p .dagster && cp -n assets/dagster.yaml .dagster/dagster.yaml
	DAGSTER_HOME=$$PWD/.dagster $(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1

test: .venv/dev.stamp  ## run the tests against real servers
	@sh tests/install_servers.sh
	TMPDIR=$${TMPDIR:-$(ROOM_IN_MEMORY)} $(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

test-slow: .venv/dev.stamp  ## run the tests that take minutes
	@sh tests/install_servers.sh
	$(BIN)/pytest -m "slow or hypothesis" --hypothesis-profile thorough $(PYTEST_ARGS) || [ $$? = 5 ]  # 5: there is no slow test

package: .venv/dev.stamp  ## build wheel and sdist into dist/, and try the wheel in an empty environment
	rm -rf dist && $(BIN)/python -m hatchling build -d dist
	$(BIN)/pytest -m 'slow or not slow' tests/test_packaging.py

lint: .venv/dev.stamp  ## check style, types, which module imports which, and that Dagster loads it; runs all, fails if one does
	@failed=; for check in "ruff check" "ruff format --check" mypy lint-imports; do \
	    echo "== $$check"; $(BIN)/$$check || failed="$$failed [$$check]"; \
	done; echo "== dg check defs"; \
	VIRTUAL_ENV=$$PWD/.venv PYTHONWARNINGS=ignore $(BIN)/dg check defs --use-active-venv || failed="$$failed [dg check defs]"; \
	echo "== licences and advisories"; $(BIN)/python -m tests.supply_chain || failed="$$failed [supply chain]"; \
	echo "== site"; $(MAKE) --no-print-directory site || failed="$$failed [site]"; \
	if [ -n "$$failed" ]; then echo "lint failed:$$failed" >&2; exit 1; fi

site: .venv/dev.stamp  ## build the documentation as a site into build/site; a link that leads nowhere fails
	@rm -rf build && mkdir -p build/site-source/policies && cp docs/site.yml build/site.yml
	@cp -r docs build/site-source/docs && rm build/site-source/docs/site.yml && cp README.md build/site-source/index.md
	@cp CHANGELOG.md CONTRIBUTING.md SECURITY.md build/site-source && cp policies/README.md build/site-source/policies
	@$(BIN)/zensical build --strict --config-file build/site.yml

rooms: .venv/runtime.stamp  ## print each package with the sentence that says what it is for
	@$(BIN)/python -c 'import ast, pathlib; \
	    files = [p for root in ("lifecycle", "assets") for p in sorted(pathlib.Path(root).rglob("__init__.py"))]; \
	    print(*(f"{str(p.parent):28} {ast.get_docstring(ast.parse(p.read_text())).splitlines()[0]}" for p in files), sep="\n")'

schemas: .venv/runtime.stamp  ## write policies/schemas anew from the models
	$(BIN)/python -m lifecycle.policy.documents.json_schemas

bench: .venv/dev.stamp  ## run the performance comparisons
	@for file in bench/*.py; do [ -e "$$file" ] || continue; echo "== $$file"; $(BIN)/python -m "bench.$$(basename "$$file" .py)" || exit 1; done

lock: .venv/python.stamp  ## compile the three locks anew from pyproject.toml
	$(PYTHON) -m venv --clear .venv/lock
	.venv/lock/bin/python -m pip install --quiet --disable-pip-version-check 'pip-tools>=7.5'
	CUSTOM_COMPILE_COMMAND="make lock" .venv/lock/bin/pip-compile $(SETTINGS_OF_PIP_COMPILE) \
	    --upgrade --output-file requirements.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" .venv/lock/bin/pip-compile $(SETTINGS_OF_PIP_COMPILE) \
	    --upgrade --all-extras --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" .venv/lock/bin/pip-compile $(SETTINGS_OF_PIP_COMPILE) $(EXTRAS_OF_IMAGE) \
	    --constraint requirements-dev.txt --output-file deploy/requirements.txt pyproject.toml
	@rm -rf .venv/lock
	@! grep -nE '://|file:/|^-|@ |/(opt|home|root|tmp|work)/' requirements.txt requirements-dev.txt deploy/requirements.txt || { echo "a lock names a place; remove it" >&2; exit 1; }

clean:  ## remove what these targets made
	rm -rf .venv .dagster demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find lifecycle assets tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian keeps ensurepip, without which `python3 -m venv` fails half-way, in a package of its own.
.venv/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is missing or older than Python 3.11." >&2; \
	      echo "Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        echo "Installing Debian's python3-venv ..."; \
	        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; \
	    else \
	        echo "$(PYTHON) cannot make virtual environments: its ensurepip module is missing." >&2; \
	        echo "As root run: apt-get install python3-venv    then run make again." >&2; exit 1; \
	    fi
	@echo "Making .venv ..."
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/runtime.stamp: requirements.txt pyproject.toml | .venv/python.stamp
	@echo "Installing what requirements.txt names (once) ..."
	@$(PIP_INSTALL_LOCK) -r requirements.txt
	@$(PIP_INSTALL) --editable .
	@touch $@

# The development lock holds the runtime lock whole, so it serves both stamps.
.venv/dev.stamp: requirements-dev.txt requirements.txt pyproject.toml | .venv/python.stamp
	@echo "Installing what requirements-dev.txt names (once) ..."
	@$(PIP_INSTALL_LOCK) -r requirements-dev.txt
	@$(PIP_INSTALL) --editable .
	@touch .venv/runtime.stamp $@
