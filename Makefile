# `make help` lists the targets.
PY ?= python3
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
EMPYRICAL := empyrical-reloaded==0.7.1  # a reference of the tests; it asks for an old peewee that it does not use
NOTEBOOKS := $(wildcard notebooks/*.ipynb)

CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome || command -v google-chrome-stable)

.PHONY: help paper test browser-test test-unpinned soak lint lab notebooks bench clean

help:            ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

.venv/ok: setup.cfg pyproject.toml constraints.txt
	$(call install,-c constraints.txt)

define install
	$(if $(UV),$(UV) venv -q --allow-existing --python $(PY) .venv && $(UV) pip install -q --python $(BIN)/python $(1) -e '.[test]',\
	$(PY) -m venv .venv && $(BIN)/python -m pip install -q --disable-pip-version-check $(1) -e '.[test]')
	$(if $(UV),$(UV) pip install -q --python $(BIN)/python,$(BIN)/python -m pip install -q --disable-pip-version-check) --no-deps $(EMPYRICAL)
	$(BIN)/python -m toolkit warmup
	touch .venv/ok
endef

# A cluster wants a process of its own, and a notebook that times something both cores.
define TESTS
	$(BIN)/python -m pytest -q tests/test_scale.py
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --ignore=tests/test_scale.py tests toolkit
	$(BIN)/python -m pytest -q --nbval notebooks
endef

paper: .venv/ok  ## run the paper-trading notebook over the bundled prices
	$(BIN)/python -m toolkit run notebooks/02_paper_trading.ipynb

test: lint       ## lint, unit tests, laws, floors, doctests, and every notebook strictly with nbval
	$(TESTS)

browser-test: .venv/ok  ## every notebook, or only="00 or panel", in JupyterLab and Chromium; skips without one
	$(if $(CHROMIUM),,-[ "$$(id -u)" != 0 ] || apt-get install -qq --no-install-recommends chromium fonts-dejavu-core || \
		(apt-get update -qq && apt-get install -qq --no-install-recommends chromium fonts-dejavu-core))
	-$(BIN)/python -c "import playwright" 2> /dev/null || $(if $(UV),$(UV) pip install -q --python $(BIN)/python,\
		$(BIN)/python -m pip install -q --disable-pip-version-check) -c constraints.txt -e '.[browser]'
	$(BIN)/python -m pytest -q -rs tests/browser $(if $(only),-k "$(only)")

test-unpinned:   ## the same tests with the newest versions that setup.cfg allows
	$(call install,--upgrade)
	rm .venv/ok  # the next target installs the pinned versions again
	$(TESTS)

lint: .venv/ok   ## ruff (format and rules) and mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lab: .venv/ok    ## open JupyterLab on the first notebook
	$(BIN)/jupyter lab notebooks/00_quickstart.ipynb

notebooks: .venv/ok  ## run the notebooks afresh, keep clean outputs and thumbnails for a commit
	$(BIN)/python -m toolkit run --in-place $(NOTEBOOKS)
	$(BIN)/nbstripout --keep-output --keep-count --keep-id $(NOTEBOOKS)
	$(BIN)/python -m tests.thumbnails

soak: .venv/ok   ## the campaigns whole: what execution promises, the cache's, 100,000 fuzzed frames, in a table
	$(BIN)/python -m tests.promises --scale 1

bench: .venv/ok  ## measure against the references, side by side (peers: pip install -e '.[bench]')
	status=0; for each in cycle data kernels sweep before_after; do $(BIN)/python -m benchmarks.$$each || status=1; done; exit $$status

clean:           ## remove the virtual environment, caches and runs/; state/ (your accounts) stays
	rm -rf .venv runs *.egg-info .pytest_cache .mypy_cache .ruff_cache
