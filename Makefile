PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SERVE  ?=

# Debian's Redis, a cluster of one node, and one of three with replicas; make test runs on the embedded store.
STORES ?= redis node cluster
# More processes than a small machine has cores, since tests mostly wait; each has brokers, stores and ports of its own.
# Files keep their order: sorted by their number of tests, files with one long test would come last, and run alone.
AT_ONCE := -n 4 --dist loadfile --no-loadscope-reorder
# A test that hangs ends its process: the run names the test, and continues in another process.
AT_ONCE += --max-worker-restart=2 -o faulthandler_timeout=180 -o faulthandler_exit_on_timeout=true
# Tests wait for real programs. One that fails beside others is tried once more, alone: it must not fail twice.
AGAIN := $(BIN)/pytest --last-failed --last-failed-no-failures none -o faulthandler_timeout=180 \
  -o faulthandler_exit_on_timeout=true
ON_EVERY_STORE := tests/store tests/api tests/manage tests/faults/test_death_between_calls.py
MANY_SERVERS := tests/faults/test_cluster.py tests/faults/test_sentinel.py tests/faults/test_tls.py

COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command 'make lock'

PIP_INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check
define install
@echo "Installing what $(1) names in $(VENV): this takes a minute the first time"
$(PYTHON) -m venv $(VENV)
$(PIP_INSTALL) --require-hashes --requirement $(1)
$(PIP_INSTALL) --no-deps --no-build-isolation --editable '.[server]'
touch $@
endef

# Some container images set this; then each of some hundred processes that the tests start would compile the broker.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-slow test-scrapy test-stores check format docs pictures bench bench-all lock clean

run: $(VENV)/run.stamp  ## serve at http://localhost:3010, data in ~/.local/share/broker
	$(BIN)/broker serve $(SERVE)

test: $(VENV)/test.stamp  ## every test but the slow ones
	$(BIN)/pytest $(AT_ONCE) -m "not slow" || $(AGAIN) -m "not slow"

test-scrapy: $(VENV)/scrapy-2.13.stamp  ## all tests of the Scrapy scheduler on the oldest Scrapy; the others run on the newest
	BROKER_TEST_SCRAPY=$(CURDIR)/$(VENV)/scrapy-2.13 $(BIN)/pytest $(AT_ONCE) tests/scrapy

test-slow: $(VENV)/test.stamp  ## the slow tests, half an hour; their output is in bench/results/slow.txt
	mkdir -p bench/results
	bash -o pipefail -c '$(BIN)/pytest -m slow | tee bench/results/slow.txt'

test-stores: $(VENV)/test.stamp  ## the tests of the store and of the contract on other stores
	for store in $(STORES); do \
	  export BROKER_TEST_STORE=$$store; \
	  $(BIN)/pytest $(AT_ONCE) -m "not slow" $(ON_EVERY_STORE) || $(AGAIN) -m "not slow" $(ON_EVERY_STORE) || exit 1; \
	done
	$(BIN)/pytest $(MANY_SERVERS) || $(AGAIN) $(MANY_SERVERS)

check: $(VENV)/test.stamp  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@if command -v luacheck >/dev/null; then luacheck --quiet --config lua/.luacheckrc lua; fi

format: $(VENV)/test.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/test.stamp  ## docs/http-api.md, from the descriptions beside the handlers
	$(BIN)/python -m broker.openapi.reference > docs/http-api.md

pictures: $(VENV)/test.stamp  ## screenshots of every page, in tests/browser/screenshots; those of the README are replaced
	BROKER_TEST_PICTURES=yes $(BIN)/pytest tests/browser/test_pages.py
	cp tests/browser/screenshots/ui-*.png docs/

bench: $(VENV)/test.stamp  ## measure the speed, and compare it with the goals: docs/bench.md
	$(BIN)/python -m bench.http
	$(BIN)/python -m bench.scripts
	$(BIN)/python -m bench.report

bench-all: $(VENV)/test.stamp  ## the same, and how it grows
	$(BIN)/python -m bench.http
	$(BIN)/python -m bench.scripts
	$(BIN)/python -m bench.http --curve
	$(BIN)/python -m bench.growth
	$(BIN)/python -m bench.scale
	$(BIN)/python -m bench.fleet
	$(BIN)/python -m bench.cluster
	$(BIN)/python -m bench.waiters
	$(BIN)/python -m bench.waiters --groups 100000
	$(BIN)/python -m bench.groups
	$(BIN)/python -m bench.turns
	$(BIN)/python -m bench.scrapy
	$(BIN)/python -m bench.report

lock: $(VENV)/test.stamp  ## the newest versions that pyproject.toml allows, for every platform, with hashes
	$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9'
	$(COMPILE) --extra server --extra build --output-file requirements.lock
	$(COMPILE) --all-extras --constraint requirements.lock --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

$(VENV)/run.stamp: pyproject.toml requirements.lock
	$(call install,requirements.lock)

$(VENV)/test.stamp: pyproject.toml requirements-dev.lock
	$(call install,requirements-dev.lock)

$(VENV)/scrapy-2.13.stamp: $(VENV)/test.stamp tests/scrapy/requirements-2.13.txt
	$(PIP_INSTALL) --require-hashes --no-deps --upgrade --target $(VENV)/scrapy-2.13 \
	  --requirement tests/scrapy/requirements-2.13.txt
	touch $@
