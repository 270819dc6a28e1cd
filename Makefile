# make run     start evdash; options in ARGS: make run ARGS="--port 8001 --no-demo"
# make test    every check, the browser's included
# make test-database  the tests of the event log and its workers on the server that DATABASE_URL names
# make soak    faults on and on, an hour of them: workers killed, Redis gone, commits failing (ARGS="--hours 8")
# make bench-live  how live carries load: 200 sockets, then one page under 10,000 events/s; two minutes (ARGS="--json")
# make bench-load  how quick pages are while events arrive, as ratios to the same pages at rest; two minutes (ARGS="--readers 50")
# make format  put the code into its form
# Each sets up .venv first, once, and again when the requirements have changed.

.PHONY: run test test-database soak bench-live bench-load format install
.DEFAULT_GOAL := run

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
ARGS ?=

run: install
	@exec $(BIN)/python manage.py up $(ARGS)

test: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/pytest -m "not browser" --numprocesses 2
	$(BIN)/pytest -m browser

test-database: install
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-postgresql.txt
	$(BIN)/pytest tests/eventlog tests/ingest

soak: install
	@exec $(BIN)/python -m tests.faults.run --hours 1 $(ARGS)

bench-live: install
	@exec $(BIN)/python -m tests.benchmarks.live $(ARGS)

bench-load: install
	@exec $(BIN)/python -m tests.benchmarks.pages $(ARGS)

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(INSTALLED)

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
