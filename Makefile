# `make demo` and `make test` set up all that they need. Python 3.11 or newer must be on the PATH (PYTHON names another).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AZURITE := tests/world/node_modules/.package-lock.json
# Microsoft's worker library runs in an environment of its own, made with the first of these that is a Python 3.13.
PYTHON_WORKER ?= python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python)
WORKER := $(VENV)/worker
# checkov pins half of PyPI to versions of its own, so it has an environment too.
CHECKOV := $(VENV)/checkov
INSTALL := -m pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --upgrade --generate-hashes --custom-compile-command 'make lock'

.PHONY: help demo demo-drift test test-all lint unit bench package lock clean

help:
	@echo 'make demo        reconcile examples/estate and print the report (needs Python alone)'
	@echo 'make demo-drift  deploy three markets, click in the portal, find the click, heal it (needs Terraform on the PATH)'
	@echo 'make test        install what the tests need, lint, and run them all (needs Node 20 for Azurite; Terraform for the'
	@echo '                 tests that use it)'
	@echo 'make test-all    the same with the slow tests, some 15 minutes, and what the tests cover'
	@echo 'make unit        the tests that need neither Azurite nor Terraform'
	@echo 'make bench       what reading, orchestrating and bundling cost, as ratios'
	@echo 'make package     build dist/trueup-VERSION.zip, with Terraform and the providers that ESTATE=DIR or LOCKS=PATH names'
	@echo '                 (MIRROR=DIR and TERRAFORM=FILE are where they come from, else their registries; several of one kind'
	@echo '                 in quotation marks; WITHOUT_PROVIDERS=1 builds also where no lock file names one, CHANGES=1 also where'
	@echo '                 files are not as they were committed)'
	@echo 'make lock        compile every requirements file anew, with the hashes that all installs check'

demo: $(VENV)/runtime
	@$(BIN)/trueup reconcile --estate examples/estate --as-of 2026-11-24T06:00:00Z --no-save; \
	status=$$?; test $$status -eq 0 -o $$status -eq 2

demo-drift: $(VENV)/dev
	@PYTHONPATH=. $(BIN)/python examples/demo_drift.py

test: lint $(AZURITE) $(WORKER)/installed $(CHECKOV)/installed
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-all: lint $(AZURITE) $(WORKER)/installed $(CHECKOV)/installed
	$(BIN)/pytest -m '' --numprocesses auto --dist loadfile --no-loadscope-reorder --cov --cov-report=term --cov-fail-under=95

lint: $(VENV)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/dev
	$(BIN)/pytest -m 'not azurite and not terraform and not slow'

bench: $(VENV)/dev $(AZURITE)
	$(BIN)/python -m bench

package: $(VENV)/runtime
	@$(BIN)/python -m scripts.package $(ESTATE:%=--estate %) $(LOCKS:%=--locks %) $(MIRROR:%=--mirror %) \
		$(TERRAFORM:%=--terraform %) $(if $(WITHOUT_PROVIDERS),--without-providers) $(if $(CHANGES),--with-changes)

lock: $(VENV)/dev
	$(COMPILE) --python-version 3.11 pyproject.toml --output-file requirements.txt
	$(COMPILE) --python-version 3.11 --constraints requirements.txt --group dev --output-file requirements-dev.txt
	echo 'setuptools>=77' | $(COMPILE) --python-version 3.11 - --output-file requirements-build.txt
	echo azure-functions-runtime | $(COMPILE) --python-version 3.13 --constraints requirements.txt - \
		--output-file requirements-worker.txt
	echo checkov | $(COMPILE) --python-version 3.11 - --output-file requirements-checkov.txt

clean:
	rm -rf $(VENV) tests/world/node_modules examples/estate/tables .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		f"trueup needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. Set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: requirements.txt requirements-build.txt pyproject.toml | $(BIN)/python
	$(BIN)/python $(INSTALL) --require-hashes --requirement requirements.txt --requirement requirements-build.txt
	$(BIN)/python $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: requirements-dev.txt $(VENV)/runtime
	$(BIN)/python $(INSTALL) --require-hashes --requirement requirements-dev.txt
	@touch $@

# A pyenv shim may be on the PATH and name no Python, so each candidate is asked.
$(WORKER)/installed: requirements.txt requirements-worker.txt | $(BIN)/python
	@for python in $(PYTHON_WORKER); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || continue; \
		"$$python" -m venv $(WORKER) && $(WORKER)/bin/python $(INSTALL) --require-hashes \
			--requirement requirements.txt --requirement requirements-worker.txt && touch $@; \
		exit; \
	done; \
	echo "No Python 3.13 (PYTHON_WORKER=… names one): the tests of Microsoft's worker library are skipped."

$(CHECKOV)/installed: requirements-checkov.txt | $(BIN)/python
	$(BIN)/python -m venv $(CHECKOV)
	$(CHECKOV)/bin/python $(INSTALL) --require-hashes --requirement requirements-checkov.txt
	@touch $@

$(AZURITE): tests/world/package-lock.json
	npm ci --prefix tests/world --no-audit --no-fund
