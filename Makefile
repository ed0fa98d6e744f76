# Every target works on a fresh clone: the environment is made when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := .tools
TYPES := $(VENV)/types/rtfbench
LOCK := requirements.lock
OUT ?= runs/bench
ZOO_OUT ?= runs/zoo
PRECISION_OUT ?= runs/precision
ENGINES_OUT ?= runs/engines
# A part of the catalog, by size; all of it without a name.
GROUP ?=
MODELS_small := xvec ecapa512 ecapa1024 campplus resnet18 redimnet_b2
MODELS_medium := repvgg res2net gemini eres2net resnet34 resnet50
MODELS_large := simam_resnet34 resnet101 resnet152 resnet221 resnet293
SERVE_OUT ?= runs/serve
MINUTES ?= 5
# A process that dies ends the tests with its test's name: with another in its place, pytest-xdist
# can wait for ever for tests that nobody has.
SIDE_BY_SIDE := -n 2 --max-worker-restart=0
# Neighbours run in one process, for what they share, until the other has nothing left to do.
SHARED_OUT := --dist worksteal
# pip compiles on one core what this does on all; templates that some packages have are no Python.
COMPILED = $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
# Deep tests may take longer than the time limit of the others.
PATIENT := -o faulthandler_timeout=3600
# Of the fuzzer, all by default: audio models plans lists
TARGETS ?=

.DEFAULT_GOAL := help
.PHONY: help install install-locked lock audit bench bench-zoo bench-precision bench-engines bench-serve bench-extract validate validate-gate validate-whole-gates gate test test-side-by-side test-speed test-other-cpus test-deep soak fuzz lint type clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv with the pinned versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rtfbench needs Python 3.11 or newer; name one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	$(COMPILED)
	@touch $@

# torch is left out of the lock: which build of it is right is the machine's choice, so no hash fits
# all. What it needs besides is in it.
install-locked: ## create .venv from requirements.lock, every file but torch's held against its SHA-256
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	@touch $(STAMP)

lock: $(TOOLS)/.installed ## write requirements.lock anew from pyproject.toml and constraints.txt (minutes: it reads every file)
	$(TOOLS)/bin/pip-compile --quiet --generate-hashes --allow-unsafe --unsafe-package torch --strip-extras --extra dev --constraint constraints.txt --no-header --no-annotate --no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file $(TOOLS)/$(LOCK) pyproject.toml
	awk '/^rtfbench @/ || /^#/ || /^torch==/ { skip = 1; next } /^[a-z]/ { skip = 0 } !skip && NF' $(TOOLS)/$(LOCK) > $(LOCK)

# --strict: what could not be asked about is no clean audit, so this fails where there is no network.
audit: $(TOOLS)/.installed ## ask the index which pinned packages have known weaknesses (needs the network)
	$(TOOLS)/bin/pip-audit --strict --disable-pip --no-deps --require-hashes --requirement $(LOCK)

$(TOOLS)/.installed:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check pip-tools==7.6.2 pip-audit==2.10.1
	@touch $@

bench: $(STAMP) ## measure the published table and RTF by chunk size into OUT (default runs/bench)
	$(BIN)/rtfbench run bench/measure/sweeps/bench.toml --out $(OUT) --overwrite

# Status 1 says that a row is not ok: MNN's static CAM++ is wrong, and the table shows it.
bench-zoo: $(STAMP) ## measure the published ten-model table into ZOO_OUT (default runs/zoo); goes on where it was stopped
	$(BIN)/rtfbench run zoo --out $(ZOO_OUT) --resume || [ $$? -eq 1 ]

# Status 1 says that a row loses more than is allowed, or that an engine lacks a model.
bench-precision: $(STAMP) ## measure engines in float32, bf16 and int8, with their loss of EER, into PRECISION_OUT (default runs/precision); goes on where it was stopped
	$(BIN)/rtfbench run precision --out $(PRECISION_OUT) --resume || [ $$? -eq 1 ]

# Groups go into one folder, one after the other: its page has all that were measured.
bench-engines: $(STAMP) ## run every model of the catalog, or of GROUP (small, medium, large), on every engine in float32, into ENGINES_OUT (default runs/engines): who wins and what is wrong; goes on where it was stopped
	@[ -z "$(GROUP)" ] || [ -n "$(MODELS_$(GROUP))" ] || { echo "GROUP=$(GROUP): name small, medium or large"; exit 2; }
	$(BIN)/rtfbench run every-engine $(foreach name,$(MODELS_$(GROUP)),--model $(name)) --out $(ENGINES_OUT) --resume || [ $$? -eq 1 ]

# Status 3 says that the machine could not tell, 1 that a row is not ok.
bench-serve: $(STAMP) ## find how many live streams engines hold, and what callers wait for at three rates, into SERVE_OUT (default runs/serve), in ten minutes
	$(BIN)/rtfbench capacity --model ecapa512 --engine onnxruntime --engine mnn --engine openvino --latency-ms 300 --window 1.5 --hop 0.75 --jobs 1 --budget 240 --out $(SERVE_OUT)/streams --overwrite || [ $$? -eq 3 ]
	$(BIN)/rtfbench run serve --out $(SERVE_OUT)/latency --overwrite || [ $$? -eq 1 ]

# AGAINST="PROGRAM ... {result}" EXTRACT="--wav-scp wav.scp --model model.onnx --threads 1"
bench-extract: $(STAMP) ## run an extraction (EXTRACT, its options) and any other command (AGAINST) in turns, and compare times and embeddings
	$(BIN)/python -m rtfbench.extract.side_by_side --against '$(AGAINST)' -- $(EXTRACT)

validate: $(STAMP) ## try every printed figure on simulated machines, and the intervals on this one (30 minutes), into reports/validation.md; goes on where it was stopped
	$(BIN)/python -m tests.validation figures --out reports
	$(BIN)/python -m tests.validation intervals --out reports

validate-gate: $(STAMP) ## record identical sessions of this machine (two hours) and replay gates from them, into reports/; goes on where it was stopped
	$(BIN)/python -m tests.validation rules --out reports
	$(BIN)/python -m tests.validation bank --out reports

validate-whole-gates: $(STAMP) ## run 100 whole gates of ResNet-34, identical and slowed (an hour), into reports/validation.md; goes on where it was stopped
	$(BIN)/python -m tests.validation gate --out reports

# Status 3 says that the machine could not tell.
gate: $(STAMP) ## hold HEAD against the commit before: front end, own cost, ResNet-34; under 3 minutes
	$(BIN)/rtfbench gate --baseline reports/baselines/last-commit.toml --also front-end,harness --budget 100 || [ $$? -eq 3 ]

# Types are checked beside the tests; where one fails, make waits for the other before it ends.
test: lint ## run lint, type and the tests, two at a time but for those that measure
	$(MAKE) --no-print-directory -j 2 type test-side-by-side
	$(BIN)/python -m pytest -m 'measures and not speed'

test-side-by-side: $(STAMP)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(SHARED_OUT) --benchmark-disable -m 'not measures and not deep'

test-speed: $(STAMP) ## time the front end, the harness, sessions and calls: each night, and before a release
	$(BIN)/python -m pytest -m speed

# ONLY="avx2 one-core" runs some of them.
test-other-cpus: $(STAMP) ## run what depends on the CPU as if it had AVX2 or SSE4.2 only, one core, half of one, no compiler, no lscpu, no root
	$(BIN)/python -m tests.other_cpus $(foreach name,$(ONLY),--only $(name))

test-deep: $(STAMP) ## run the tests of the largest models: after changes in bench/models/zoo, and before a release
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(PATIENT) -m deep
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(PATIENT) --hypothesis-profile deep tests/unit/test_properties.py tests/unit/test_plan_properties.py tests/unit/test_scoring_properties.py

soak: $(STAMP) ## run and extract back to back for MINUTES (default 5): nothing may grow, nothing may stay
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

fuzz: $(VENV)/.fuzz ## read files that atheris thinks of, MINUTES a target (default 5), into .fuzz/: an error that is no refusal is a finding
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(TARGETS)

$(VENV)/.fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[fuzz]'
	@touch $@

lint: $(STAMP) ## check style and format with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy knows packages by their folders, so the package is laid out as it is installed.
type: $(STAMP) ## check types with mypy --strict
	rm -rf $(TYPES)
	mkdir -p $(TYPES)
	@ln -s $(abspath $(wildcard bench/*) engines frontends) $(TYPES)
	$(BIN)/mypy

clean: ## remove the environment, caches and scratch runs
	rm -rf $(VENV) $(TOOLS) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
