# The porting portal on one machine. `make help` says what there is.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# Enough for checks that start nothing; a desk has keys of its own.
CHECKED_WITH := SECRET_KEY=for-checks-only ENCRYPTION_KEYS=$(shell printf '%043d=' 0 | tr 0 A)

.DEFAULT_GOAL := help
.PHONY: help run manage test lint format bench faults password lock clean reset
.SILENT:

help: ## Show this list
	awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP) ## Start the whole portal on this machine (PORT=8000)
	exec $(PY) -m portal.local run

manage: $(STAMP) ## Run a management command on that portal (ARGS="webhook_urls")
	$(PY) -m portal.local manage $(ARGS)

test: $(STAMP) ## Run all tests, those in a real browser included (or ARGS="tests/work")
	$(PY) -m portal.local chromium
	if [ -n "$(ARGS)" ]; then exec $(PY) -m pytest $(ARGS); fi; \
	said=$$(mktemp -d); \
	$(PY) -m pytest tests/orders > "$$said/orders" 2>&1 & orders=$$!; \
	$(PY) -m pytest tests/e2e tests/hosting > "$$said/e2e" 2>&1 & browser=$$!; \
	trap 'kill $$orders $$browser; rm -rf "$$said"; exit 130' INT TERM; \
	$(PY) -m pytest tests --ignore=tests/orders --ignore=tests/e2e --ignore=tests/hosting; failed=$$?; \
	wait $$orders || failed=1; cat "$$said/orders"; \
	wait $$browser || failed=1; cat "$$said/e2e"; \
	rm -rf "$$said"; exit $$failed

lint: $(STAMP) ## Check format, code, types, migrations and the lock file
	$(PY) -m ruff format --check --quiet . || { echo "Run \`make format\`."; exit 1; }
	$(PY) -m ruff check --quiet .
	$(CHECKED_WITH) $(PY) -m mypy
	$(CHECKED_WITH) $(PY) -m portal.local migrations
	if grep -nEi '://|(^| )(--?(extra-)?index-url|--find-links|-[if])( |=)' requirements.txt; then \
	  echo "requirements.txt names a host; it must work with any package registry."; exit 1; fi
	echo "Lint: all good."

format: $(STAMP) ## Put the code into shape
	$(PY) -m ruff check --fix --quiet .
	$(PY) -m ruff format --quiet .

bench: $(STAMP) ## Print the figures of speed and keep them in benchmarks/results.md
	$(PY) -m benchmarks --write $(ARGS)

faults: $(STAMP) ## Run the long tests that kill processes and drop answers
	FAULTS=long $(PY) -m pytest -s tests/faults tests/machine $(ARGS)

password: $(STAMP) ## Give the administrator a new password and print it
	$(PY) -m portal.local password

lock: $(STAMP) ## Write requirements.txt anew from pyproject.toml
	$(PY) -m uv pip compile pyproject.toml --extra dev --universal --generate-hashes \
	  --upgrade --quiet --no-header --no-emit-index-url --no-emit-find-links -o requirements.txt

clean: ## Remove .venv and caches; the local data stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

reset: $(STAMP) ## Remove the local data: database, Redis, sandbox, keys
	$(PY) -m portal.local reset

# Made anew only when the content of requirements.txt has changed, not merely its date.
$(STAMP): requirements.txt
	set -e; \
	if ! $(PY) -c 1 2>/dev/null; then \
	  chosen=; \
	  for candidate in "$(PYTHON)" python3.13 python3.12 python3.11; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      chosen=$$candidate; break; \
	    fi; \
	  done; \
	  if [ -z "$$chosen" ]; then \
	    echo "The portal needs Python 3.11 or newer; name it: make PYTHON=/path/to/python3 …"; \
	    exit 2; \
	  fi; \
	  echo "Making $(VENV) with $$("$$chosen" --version)"; \
	  rm -rf $(VENV); \
	  "$$chosen" -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "Python could not make a virtual environment (on Debian: apt-get install python3-venv)."; \
	    exit 2; }; \
	fi; \
	wanted=$$($(PY) -c 'import hashlib; print(hashlib.sha256(open("requirements.txt", "rb").read()).hexdigest())'); \
	if [ "$$(cat $(STAMP) 2>/dev/null)" != "$$wanted" ]; then \
	  echo "Installing the pinned packages into $(VENV) (once, about half a minute)"; \
	  $(PY) -m pip install --quiet --disable-pip-version-check --no-input \
	    --require-hashes -r requirements.txt; \
	fi; \
	echo "$$wanted" > $(STAMP)
