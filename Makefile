# Commands for this checkout; `make` alone lists them. The scripts are in tools/.
#
# PYTHON=/path/to/python3   a Python other than the newest suitable one
# EXTRAS="s3 valkey"         only these optional packages, or none   (make install)
# PYTEST="-k word"          more options for pytest      (make test, make prove)
# BENCH="home_timeline"     only these of bench/         (make bench)
# BASE=main~1               compare with this commit     (make coverage)

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install run test prove coverage bench lint format docs lock upgrade clean
export PYTHON PYTEST BENCH EXTRAS
BASE ?= HEAD

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

install: ## install the server alone, as .venv/bin/stormpetrel
	@tools/install run

run: ## run a demo instance with every role, in the foreground
	@exec tools/run

test: install ## run all checks: style, types, imports, documents, tests on real databases and a browser
	@tools/install test
	@tools/parts
	@.venv-test/bin/python tools/check.py all

prove: ## run the longer tests: kill -9, slow connections, …
	@tools/install test
	@tools/parts
	@.venv-test/bin/python tools/check.py prove

coverage: ## list the lines changed since BASE that no test of the changed files runs
	@tools/install test
	@tools/parts
	@.venv-test/bin/python tools/changed_lines.py $(BASE)

bench: ## run every benchmark of bench/RESULTS.md again, quickly
	@tools/install test
	@tools/parts bench
	@.venv-test/bin/python tools/check.py bench

lint: ## check style, types and imports only
	@tools/install test
	@.venv-test/bin/python tools/check.py lint

format: ## format the code
	@tools/install test
	@.venv-test/bin/ruff check --quiet --fix-only .
	@.venv-test/bin/ruff format .

docs: ## regenerate the generated pages of docs/
	@tools/install test
	@.venv-test/bin/python -m tools.reference --write

lock: ## pin the dependencies of requirements/*.in, keeping pinned versions where possible
	@tools/install lock
	@tools/lock

upgrade: ## pin the newest versions that requirements/*.in allow
	@tools/install lock
	@tools/lock --upgrade

clean: ## remove installed and cached files; never ./data
	rm -rf .venv .venv-test .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
