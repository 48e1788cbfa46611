# Both README commands, `make demo` and `make test`, do all set-up themselves.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test check conformance fmt clients bench chaos chaos-mutants golden lock docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Calibr needs Python 3.11 or newer; none was found (set PYTHON=...)." >&2; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is incomplete here; install it (Debian: python3-venv) and try again." >&2; exit 2; }

# A stamp is a copy of the lock that was installed. It is written last, so that an interrupted set-up runs again.
.venv/run.lock: requirements/run.lock pyproject.toml | $(BIN)/python
	@echo "Setting up .venv (once, about half a minute) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@cp requirements/run.lock $@

.venv/dev.lock: requirements/dev.lock .venv/run.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@cp requirements/dev.lock $@

setup: .venv/run.lock ## make .venv with everything that Calibr needs to run

setup-dev: .venv/dev.lock ## the same with the tools of a developer

demo: setup ## the main job end to end on a sandbox store (ARGS=--exit stops after it)
	@$(BIN)/calibr demo $(ARGS)

test: setup-dev ## all tests
	@$(BIN)/python tests/contract/clients/install.py || echo "Tests with these clients are skipped." >&2
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: setup-dev ## format, lint, types, architecture, fast tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q -n $(WORKERS) tests/architecture tests/unit

conformance: setup-dev ## replay recorded answers of real stores against the sandbox (DIR=folder of recordings)
	@$(BIN)/python tests/conformance/run.py $(if $(DIR),"$(DIR)") $(ARGS)

fmt: setup-dev ## format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup-dev ## measure, as ratios against the limit in the same run
	@$(BIN)/python benchmarks/run.py $(ARGS)

chaos: setup-dev ## the long proofs: rehearsals with hundreds of kills; writes the table of figures (half an hour)
	@CALIBR_CHAOS_DATABASE_KILLS=20 CALIBR_CHAOS_EXAMPLES=1000 $(BIN)/python -m pytest -q tests/chaos
	@$(BIN)/python tests/chaos/figures.py $(ARGS)

chaos-mutants: setup-dev ## plant hand-made bugs and show which check catches each
	@$(BIN)/python tests/chaos/mutants/run.py $(ARGS)

clients: setup-dev ## install clients of others into .clients/ and run them against the sandbox
	@$(BIN)/python tests/contract/clients/install.py
	@$(BIN)/python -m pytest -q tests/contract/clients $(ARGS)

golden: setup-dev ## run FILE=... of golden cases through both back ends
	@test -n "$(FILE)" || { echo "usage: make golden FILE=path/to/cases.jsonl" >&2; exit 2; }
	@$(BIN)/python tools/golden.py "$(FILE)"

docs: setup-dev ## regenerate the generated reference pages
	@$(BIN)/python tools/reference.py

lock: setup-dev ## resolve the requirement locks anew
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --extra sandbox --group build pyproject.toml -o requirements/run.lock
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --extra sandbox --group dev pyproject.toml -o requirements/dev.lock
	@for each in build official lib-shopify-graphql tap-shopify; do $(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --no-annotate tests/contract/clients/requirements-$$each.in -o tests/contract/clients/requirements-$$each.txt || exit; done

clean: ## remove .venv and caches
	@rm -rf .venv .clients .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
