# The workbench. `make test` is enough on a fresh checkout: it sets up what is missing.
PYTHON ?= python3
RUNTIME ?= cpython
VENV = .venv/bin/python
ARGS ?=
# Tools that take a port or a time: they are targets as soon as they exist.
TOOLS = $(foreach name,torture fuzz flash provision dev,$(if $(wildcard tools/$(name).py),$(name)))

ifeq ($(RUNTIME),micropython)
RUN = .cache/bin/micropython
else
RUN = $(VENV)
endif

.PHONY: help setup run demo fleet test lint types bench image clean $(TOOLS)

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
	@for tool in $(TOOLS); do $(VENV) -c 'import ast, sys; name = sys.argv[1]; \
	print(name.ljust(11), ast.get_docstring(ast.parse(open(f"tools/{name}.py").read())).splitlines()[0])' \
	$$tool; done

setup:  ## .venv, both desktop MicroPythons, and the sources for the frozen one (minutes, then a second)
	@$(PYTHON) tools/setup.py

run: setup  ## the station on this machine with its console; ARGS="--speed 10", RUNTIME=micropython (until `quit`)
	$(RUN) main.py $(ARGS)

demo: setup  ## a charging session, live on a local page; RUNTIME=micropython, ARGS="--stay" (a minute or two)
	$(VENV) tools/demo.py --runtime $(RUNTIME) $(ARGS)

fleet: setup  ## N stations (200) at once against URL or a central system of our own, live, until Ctrl-C
	$(VENV) -m tools.fleet --users $(or $(N),200) $(if $(URL),--host $(URL)) $(ARGS)

# Python's caches are wanted even where the user does without: each worker would compile every test
# by itself.
PYTEST = PYTHONDONTWRITEBYTECODE= $(VENV) -m pytest -n 3 --dist worksteal

test: setup  ## what a change can break, on all runtimes; ARGS="-k name" (six minutes)
	@echo "about six minutes on two cores; what takes longer is in make test-long"
	$(PYTEST) -m "not long" $(ARGS)

test-long: setup  ## the other tests: updates, kills, sieges, the second MicroPython (six minutes)
	@echo "about six minutes on two cores"
	$(PYTEST) -m long $(ARGS)

lint: setup  ## ruff, and the rules that the firmware's runtimes ask for (ten seconds)
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	$(VENV) tools/lint_firmware.py

types: setup  ## mypy, with CPython's library and with MicroPython's (one or two minutes)
	$(VENV) -m tools.check_types

bench: setup  ## what the firmware costs: heap, time, messages a second; ARGS="reaction" (four minutes)
	$(VENV) -m tools.bench $(ARGS)

image: setup  ## MicroPython with the firmware in it; BOARD=wroom, wrover or s3 (minutes)
	$(VENV) -m tools.image $(if $(BOARD),--board $(BOARD)) $(ARGS)

$(TOOLS): setup
	$(VENV) tools/$@.py $(if $(PORT),--port $(PORT)) $(if $(TIME),--time $(TIME)) \
	$(if $(filter fuzz,$@),--runtime $(RUNTIME)) $(ARGS)

clean:  ## removes what was built; `rm -r .venv .cache` removes what was set up (a second)
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find firmware host_tests tools -name __pycache__ -type d -prune -exec rm -r {} +
