# make run            start evdash; options in ARGS: make run ARGS="--port 8001 --no-demo"
# make dev            start evdash, and start it again whenever its code, a template or a static file changes
# make test           run every check, the browser's included; some tests only: make test T=tests/events
# make check-fast     run format, lint, types and the tests that start no process, with fewer examples
# make search         run the property tests with other examples, ROUNDS times: make search ROUNDS=10
# make shots          save pictures of every page to shots/: 1440 and 400 px wide, light and dark
# make test-database  run the tests of event log, ingest and input limits on the server that DATABASE_URL names
# make soak           inject faults for an hour: killed workers, lost Redis, failing commits (ARGS="--hours 8")
# make bench-live     measure live push: 200 sockets, then one page under 10,000 events/s; two minutes (ARGS="--json")
# make bench-load     measure pages while events arrive, as ratios to pages at rest; two minutes (ARGS="--readers 50")
# make format         format and fix the code
# make help           list these commands
# Each command first creates .venv, once, and again when the requirements have changed.

.PHONY: run dev test check-fast search shots test-database soak bench-live bench-load format help install install-dev
.DEFAULT_GOAL := run

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
DEVELOPMENT := $(VENV)/installed-dev
SCRIPTS := node_modules/installed
DEVELOPMENT_SCRIPTS := node_modules/installed-dev
PRETTIER := $(BIN)/python -m tests.platform.prettier
TEMPLATES := $(BIN)/python -m tests.platform.format_templates
ARGS ?=
ROUNDS ?= 1
T ?=

run: install
	@exec $(BIN)/python manage.py up $(ARGS)

dev: install-dev
	@exec $(BIN)/watchfiles --ignore-paths data "$(BIN)/python manage.py up $(ARGS)" evdash templates static

help:
	@sed -n 's/^# make /make /p' Makefile

ifneq ($(T),)
test: install-dev
	$(BIN)/pytest $(T)
else
test: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(PRETTIER) --check static
	$(TEMPLATES) --check
	$(BIN)/mypy
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/pytest -m "not browser" --numprocesses 2
	$(BIN)/pytest -m browser
endif

check-fast: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(PRETTIER) --check static
	$(TEMPLATES) --check
	$(BIN)/mypy
	$(BIN)/pytest -m "not browser and not processes" --numprocesses 2 --hypothesis-profile fast

search: install-dev
	for round in $$(seq $(ROUNDS)); do $(BIN)/pytest -m "hypothesis and not browser" --hypothesis-profile search || exit 1; done

shots: install-dev
	@exec $(BIN)/python -m tests.shots $(ARGS)

test-database: install-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-postgresql.txt
	$(BIN)/pytest tests/eventlog tests/ingest tests/web/test_input_limits.py

soak: install-dev
	@exec $(BIN)/python -m tests.faults.run --hours 1 $(ARGS)

bench-live: install-dev
	@exec $(BIN)/python -m tests.benchmarks.live $(ARGS)

bench-load: install-dev
	@exec $(BIN)/python -m tests.benchmarks.pages $(ARGS)

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(PRETTIER) --write --log-level warn static
	$(TEMPLATES)

install: $(INSTALLED) $(SCRIPTS)

install-dev: $(DEVELOPMENT) $(SCRIPTS) $(DEVELOPMENT_SCRIPTS)

$(INSTALLED): requirements.txt constraints.txt
	@$(BIN)/python -c "" 2>/dev/null || { \
	  for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    $$python -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && found=$$python && break; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "evdash needs Python 3.11 or newer; none was found. If it is elsewhere: make PYTHON=/path/to/python3" >&2; exit 1; \
	  fi; \
	  if ! $$found -c "import ensurepip, venv" 2>/dev/null; then \
	    echo "$$found cannot make a virtual environment. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; \
	  fi; \
	  $$found -m venv --clear $(VENV); \
	}
	@echo "Installing what evdash needs into $(VENV), once …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

$(DEVELOPMENT): $(INSTALLED) requirements-dev.txt
	@echo "Installing what tests and development need into $(VENV), once …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

$(SCRIPTS): $(INSTALLED) package-lock.json
	@$(BIN)/python -m evdash.config.npm && touch $@ || echo "evdash works without it, but open pages do not refresh themselves."

$(DEVELOPMENT_SCRIPTS): $(DEVELOPMENT) package-lock.json
	@$(BIN)/python -m evdash.config.npm --development
	@touch $@
