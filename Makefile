# The workbench. `make test` is enough on a fresh checkout: it sets up what is missing.
PYTHON ?= python3
RUNTIME ?= cpython
VENV = .venv/bin/python
BENCH ?=
ARGS ?=

ifeq ($(RUNTIME),micropython)
RUN = .cache/bin/micropython
else ifeq ($(RUNTIME),micropython32)
RUN = .cache/bin/micropython32
else
RUN = $(VENV)
endif

.PHONY: help setup run demo test lint types bench clean

help:  ## what can be made
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup:  ## .venv and both desktop MicroPythons
	@$(PYTHON) tools/setup.py

run: setup  ## the station on this machine: ARGS="--simulate ...", RUNTIME=micropython
	$(RUN) main.py $(ARGS)

demo: setup  ## a charging session against a small central system; RUNTIME=micropython
	$(VENV) tools/demo.py --runtime $(RUNTIME) $(ARGS)

test: setup  ## all tests on all runtimes; ARGS="-k name"
	$(VENV) -m pytest -n 2 --dist loadgroup $(ARGS)

lint: setup  ## ruff, and the rules that the firmware's runtimes ask for
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	$(VENV) tools/lint_firmware.py

types: setup  ## mypy, with CPython's library and MicroPython's, over the firmware and the tools
	$(VENV) -m tools.check_types

bench: setup  ## what the firmware costs: heap, size, speed
	$(VENV) -m tools.bench $(BENCH)

clean:  ## removes what was built; `rm -r .venv .cache` removes what was set up
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find firmware host_tests tools -name __pycache__ -type d -prune -exec rm -r {} +
