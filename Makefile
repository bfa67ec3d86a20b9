# What one does with this checkout. `make` alone lists it. The work is in tools/.
#
# PYTHON=/path/to/python3   another Python than the newest suitable one
# PYTEST="-k word"          more options for pytest      (make test, make prove)
# BENCH="home_timeline"     only these of bench/         (make bench)

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install run test prove bench lint format docs lock upgrade clean
export PYTHON PYTEST BENCH

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

install: ## .venv/bin/stormpetrel: the server alone
	@tools/install run

run: install ## a demo instance with every role, in the foreground
	@exec tools/run

test: install ## everything that must hold: style, types, imports, documents, tests on real databases and a browser
	@tools/install test
	@tools/parts
	@.venv-test/bin/python tools/check.py all

prove: ## the longer proofs: kill -9, slow connections, …
	@tools/install test
	@tools/parts
	@.venv-test/bin/python tools/check.py prove

bench: ## every figure of bench/RESULTS.md once more, quickly
	@tools/install test
	@tools/parts bench
	@.venv-test/bin/python tools/check.py bench

lint: ## style, types and imports only
	@tools/install test
	@.venv-test/bin/python tools/check.py lint

format: ## put the code into its form
	@tools/install test
	@.venv-test/bin/ruff check --quiet --fix-only .
	@.venv-test/bin/ruff format .

docs: ## write the generated pages of docs/ anew
	@tools/install test
	@.venv-test/bin/python -m tools.reference --write

lock: ## pin what requirements/*.in ask for, keeping the versions that still do
	@tools/install lock
	@tools/lock

upgrade: ## pin the newest versions that requirements/*.in allow
	@tools/install lock
	@tools/lock --upgrade

clean: ## remove what was installed and cached; never ./data
	rm -rf .venv .venv-test .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
