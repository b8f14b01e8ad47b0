# `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NUM_VIDEOS ?= 32
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help dashboard test test-oldest test-newest audit lint format bench bench-compare bench-all synthetic docs lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(STAMP): requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.lock
	@touch $(STAMP)

dashboard: $(STAMP) ## open the dashboard on the shipped model and generated videos
	$(BIN)/python -m dashboard $(ARGS)

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# In a virtual environment of its own, made anew: what `pip install` of these versions gives.
define test_versions
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv venv --quiet --clear $(VENV)-$(1)
	$(BIN)/uv pip install --quiet --python $(VENV)-$(1) --resolution $(2) -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(VENV)-$(1) $$(sed -n 's/ *#.*//; /^pytest\|^hypothesis/p' requirements-dev.txt)
	$(VENV)-$(1)/bin/python -m rspnet.doctor
	$(VENV)-$(1)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/rspnet $(ARGS)
endef

test-oldest: $(STAMP) ## run the tests of rspnet with the oldest versions in requirements.txt
	$(call test_versions,oldest,lowest-direct)

test-newest: $(STAMP) ## run them with the newest versions that there are
	$(call test_versions,newest,highest)

# Strict, as the audit would pass over what its service does not know, and find nothing.
audit: $(STAMP) ## list the licences of the dependencies; look for known vulnerabilities
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uvx --quiet pip-licenses --python $(BIN)/python --order=license
	$(BIN)/uvx --quiet pip-audit --strict --requirement requirements.lock --no-deps --disable-pip

lint: $(STAMP) ## check style, types and the floors of the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache > /dev/null || $(BIN)/lint-imports --no-cache

format: $(STAMP) ## put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure speed beside other tools, in minutes
	$(BIN)/python -m benchmarks.speed $(ARGS)

bench-compare: $(STAMP) ## measure it again and compare with benchmarks/results
	$(BIN)/python -m benchmarks.speed --compare $(ARGS)

bench-all: $(STAMP) ## measure more speed, and exactness (not what takes hours)
	@for name in completeness decode maps synthetic train dashboard_speed; do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

synthetic: $(STAMP) ## generate videos into data/synthetic (NUM_VIDEOS=32)
	$(BIN)/python -m rspnet.data.synthetic --out data/synthetic --num_videos $(NUM_VIDEOS) --seed 0

docs: $(STAMP) ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

lock: $(STAMP) ## resolve requirements anew into requirements.lock
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header requirements-dev.txt -o requirements.lock

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) $(VENV)-* site .cache .mypy_cache .ruff_cache .pytest_cache artifacts
