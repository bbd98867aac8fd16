# Sets itself up from Python 3.11 with pip: every target below installs what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The peers of the benchmarks conflict with backtune's own pins.
PEERS := .venv-peers
PEERS_READY := $(PEERS)/.ready
# PineTS, the runtime that exported scripts are tested in; it needs Node 18 or later with npm.
PINE := .pine
PINE_READY := $(PINE)/.ready

export RAY_USAGE_STATS_ENABLED := 0

.PHONY: demo test test-pine test-slow test-cluster test-api lint format bench-search bench-kernel bench-scale bench-tracking bench-gateway bench-evidence docs head lock wheel clean help

help:
	@echo "make demo       a sweep on Ray over a synthetic market"
	@echo "make test       the tests, as CI runs them"
	@echo "make test-pine  exported Pine scripts in an independent runtime; needs npm"
	@echo "make test-slow  faults and scale"
	@echo "make test-cluster  what concerns clusters: hosts in network namespaces, autoscaling, S3, jobs, cluster up"
	@echo "make test-api   the gateway's interface, asked in more than ten thousand ways"
	@echo "make lint       formatting, lint, types, import contracts, as CI runs them"
	@echo "make bench-search  candidates per second, beside one Tune trial per candidate and Optuna alone"
	@echo "make bench-kernel  nanoseconds per bar, beside plain Numba, vectorbt and backtesting.py"
	@echo "make bench-tracking  a sweep into MLflow, and what that costs the sweep"
	@echo "make bench-scale   what a driver of 1,000 slots and 100,000 studies costs"
	@echo "make bench-gateway  time to answer at 200 requests a second while a sweep runs"
	@echo "make bench-evidence  what the evidence says on simulated markets: mistakes and power"
	@echo "make docs       the tables of docs/spec.md, from the code"
	@echo "make head       a Ray head for jobs, for this machine alone (Ctrl-C ends it)"
	@echo "make lock       pin the dependencies again"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "backtune needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	@test -e data/demo/manifest.json || $(BIN)/backtune data make --root data/demo --assets ALPHA,BETA --timeframe 15m --start 2021-01-01 --end 2024-01-01 --seed 7
	@$(BIN)/backtune run jobs/demo.yaml

test: $(READY)
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

$(PINE_READY): tests/pine/package.json tests/pine/package-lock.json
	@mkdir -p $(PINE)
	cp $^ $(PINE)
	cd $(PINE) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

test-pine: $(READY) $(PINE_READY)
	$(BIN)/python -m pytest tests/pine

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow --timeout 1800
	BACKTUNE_EXAMPLES=5000 $(BIN)/python -m pytest -m "not slow" --timeout 1800 tests/property \
	  tests/unit/validation/test_folds.py tests/unit/validation/test_kfold_objective.py tests/unit/validation/test_stress_perturbations.py

test-cluster: $(READY)
	$(BIN)/python -m pytest --timeout 1800 tests/faults/test_hosts.py tests/faults/test_autoscaling.py tests/faults/test_s3_runs.py \
	  tests/faults/test_cluster_up.py tests/integration/test_jobs_s3.py

test-api: $(READY)
	$(BIN)/python -m pytest -m "" --timeout 1800 --capture no tests/contract/test_openapi.py tests/unit/gateway/test_hostile.py

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-search: $(READY)
	$(BIN)/python tests/benchmarks/bench_search.py

$(PEERS_READY): tests/benchmarks/peers-requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

bench-kernel: $(READY) $(PEERS_READY)
	$(BIN)/python tests/benchmarks/bench_kernel.py --peers $(PEERS)/bin/python

bench-scale: $(READY)
	$(BIN)/python tests/benchmarks/bench_scale.py

bench-tracking: $(READY)
	$(BIN)/python tests/benchmarks/bench_tracking.py

bench-gateway: $(READY)
	$(BIN)/python tests/benchmarks/bench_gateway.py

bench-evidence: $(READY)
	$(BIN)/python tests/benchmarks/bench_evidence.py

docs: $(READY)
	$(BIN)/python docs/tables.py

# In place of the shell, so that make's own end is seen; options in HEAD, as in HEAD="--dashboard-port 8266".
head: $(READY)
	@exec env BACKTUNE_HOME="$(CURDIR)" $(BIN)/backtune cluster head --with-parent $(HEAD)

lock:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-tools
	$(BIN)/pip-compile --quiet --extra dev --strip-extras --no-annotate --no-header --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --no-emit-options --output-file requirements.lock pyproject.toml
	# The extra "dev" contains "all", so that backtune itself is listed, with the path of this folder.
	sed -i '/^backtune @ /d' requirements.lock

wheel: $(READY)
	$(BIN)/python -m build --no-isolation --outdir dist

clean:
	rm -rf $(VENV) $(PEERS) $(PINE) dist build data/demo runs
