# Every target sets up what it needs in a virtual environment of its own (VENV).
# Needed beforehand: Python 3.11 or newer with venv, g++ and make.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_DIR ?= demo-output
JOBS ?= auto
# Tests are compiled once, not in each run and worker.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow test-ci mutants random-mutants fuzz sessions sample goldens lint check bench docs tutorials site package size clean stale \
	scenario-edge

demo: $(VENV)/.user
	$(BIN)/bitsmith demo --output-dir $(DEMO_DIR)

# A test that waits for ever fails by itself and names the line, before a whole run is ended.
test: $(VENV)/.dev
	$(BIN)/pytest -n $(JOBS) --timeout 600

# The slow and tools tests that CI leaves out, for so many minutes, from where the last run ended; tests/slow_runs.tsv has what passed.
test-slow: $(VENV)/.slow
	$(BIN)/python -m tests.slow_runs --minutes $(MINUTES)

# The fixed share of the slow and tools tests that CI runs, and the Keras reader with another backend of Keras than the fast tests take.
test-ci: $(VENV)/.slow
	KERAS_BACKEND=jax $(BIN)/pytest -n $(JOBS) --timeout 600 tests/frontends -k keras
	$(BIN)/pytest -n $(JOBS) --timeout 1800 -m 'ci and not spare and (slow or tools)'

# Small mistakes put into copies of src, each of which named tests must notice; half an hour.
mutants: $(VENV)/.dev
	$(BIN)/python tests/mutants/run.py

# Random mistakes in files that differ from AGAINST and in a sample of all others: which of them do fast and CI tests find?
PER_ROOM ?= 6
SEED ?= 0
random-mutants: $(VENV)/.dev
	$(BIN)/python -m tests.mutants.sample --changed $(AGAINST) --per-room $(PER_ROOM) --seed $(SEED)

# Damaged files of all kinds, for so many minutes of processor time; what goes wrong is kept in fuzz-found.
MINUTES ?= 10
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz.run --minutes $(MINUTES)

# Forty first sessions as users type them, in an environment of their own; what they print is kept in sessions-output.
sessions: $(VENV)/.dev
	$(BIN)/python -m tests.sessions.run

# The sample report, and its picture on the first page, from a run of the demo; needs Chromium.
sample: demo
	PYTHONPATH=docs $(BIN)/python -m generate.pictures $(DEMO_DIR)/report.html

# The texts of plans that tests compare with.
goldens: $(VENV)/.dev
	$(BIN)/python -m tests.build.test_plan_goldens
	$(BIN)/python -m tests.netlist.test_native
	$(BIN)/python -m tests.estimate.test_goldens
	$(BIN)/python -m tests.report.test_goldens
	$(BIN)/python -m tests.devices.test_records

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PYTHONPATH=docs $(BIN)/python -m tests.docs.prose
	@! git ls-files --cached --ignored --exclude-standard 2>/dev/null | grep . || { echo "tracked, though .gitignore names it"; exit 1; }

check: lint test test-ci

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/emulation.py
	$(BIN)/python benchmarks/sparsity.py
	$(BIN)/python benchmarks/convolution.py
	$(BIN)/python benchmarks/against_hls4ml.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/fidelity.py --seeds 100 --picture $(DEMO_DIR)/errors.png

# The pages that are written from the code, and the site of all.
docs: $(VENV)/.dev
	PYTHONPATH=docs $(BIN)/python -m generate.rounding docs/rounding.md
	PYTHONPATH=docs $(BIN)/python -m generate.vendor_rules docs/vendor-rules.md
	PYTHONPATH=docs $(BIN)/python -m generate.tour docs/tour.md
	PYTHONPATH=docs $(BIN)/python -m generate.api docs/api.md
	PYTHONPATH=docs $(BIN)/python -m generate.concepts docs/images
	PYTHONPATH=docs $(BIN)/python -m generate.reference docs
	PYTHONPATH=docs $(BIN)/python -m generate.layers docs/layers.md
	PYTHONPATH=docs $(BIN)/python -m generate.accuracy docs/accuracy.md
	$(MAKE) site

# The notebooks of the tutorials, executed, as pages with what they print; many minutes.
tutorials: $(VENV)/.dev
	PYTHONPATH=docs $(BIN)/python -m generate.tutorials

# The pages as they are, as a site; needs no network.
site: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# A complete small project of examples: data, training, conversion, build, figures. Minutes; it says which figures of the pages are
# stale, and replaces them with RENEW=--renew.
RENEW ?=
scenario-%: $(VENV)/.dev
	$(BIN)/python -m examples.$* $(RENEW)

scenario-edge: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[ice40]'
	$(BIN)/python -m examples.edge $(RENEW)

# Which measured figures of the documentation are older than the code that makes circuits.
stale: $(VENV)/.dev
	PYTHONPATH=docs $(BIN)/python -m generate.stale

# The wheel and the source distribution in dist, checked.
package: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*

# Lines per package, and the difference to a revision: make size AGAINST=main
AGAINST ?= main
size: $(VENV)/.dev
	@$(BIN)/python benchmarks/size.py $(AGAINST)

clean:
	rm -rf $(VENV) $(DEMO_DIR) site-output .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "bitsmith needs Python 3.11 or newer (apt install python3 python3-venv)"; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: apt install python3-venv"; rm -rf $(VENV); exit 1; }

# The solver of adder graphs is compiled along; without a compiler or the headers of Python one in Python makes larger circuits.
NATIVE := $(wildcard native/CMakeLists.txt native/src/*)

$(VENV)/.user: $(BIN)/python pyproject.toml $(NATIVE)
	@echo "Installing bitsmith and the open tools (a minute or two) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[flow]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml $(NATIVE)
	@echo "Installing bitsmith, the open tools and what the tests need (a few minutes) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[flow,dev,site]'
	@# Intel's headers of SYCL, without the libraries that they belong to. Where there are none, their tests are left out.
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'intel-sycl-rt==2025.0.4'
	@touch $@ $(VENV)/.user

# What only slow tests use: place and route for iCE40, and qkeras-v3 in a folder of its own, since HGQ2 has a package of that name, too.
$(VENV)/.slow: $(VENV)/.dev
	@echo "Installing what slow tests need ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[ice40]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/qkeras-v3 qkeras-v3
	@touch $@
