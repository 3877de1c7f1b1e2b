# `make demo` and `make test` set up everything they need in .venv, on a machine with Python alone.
# Another interpreter: make demo PYTHON=python3.10. An environment that has everything: make test VENV=/path/to/it

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Tests at a time; each runs with one thread.
JOBS ?= 2

.PHONY: demo test lint options clean

# FLAGS=--verbose shows the whole log.
demo: $(VENV)/ready
	$(BIN)/python -m aibnet_arch.demo $(FLAGS)

test: lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The reference page and the JSON Schema of all options.
options: $(VENV)/ready
	$(BIN)/python -m tools.option_reference

# BasicSR's build imports torch, so torch comes first and build isolation is off.
$(VENV)/ready: setup.py Makefile tools/install_basicsr.py
	$(PYTHON) tools/install_basicsr.py --check
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip 'setuptools<81' wheel
	$(BIN)/python -m pip install --quiet torch torchvision
	$(BIN)/python -m pip install --quiet cython numpy
	$(BIN)/python tools/install_basicsr.py --quiet
	$(BIN)/python -m pip install --quiet --no-build-isolation -e '.[demo,test]'
	touch $@

clean:
	rm -rf $(VENV)
