# make demo   a first result on phantoms        make test            the test suite
# make check  format, lint, types               make science-smoke   does each pretext task learn? 8 minutes
# make intervals     do 95 % intervals hold the truth in 95 % of simulated experiments? 2 minutes
# make test-pythons   the test suite on every Python found of 3.10 to 3.13, each in a .venv of its own
# make bench-peers   ours and other libraries, side by side: 20 minutes, 2 GB of volumes in runs/peers
# make bench-step    a training step, ours and PyTorch's, of every task: 15 minutes
# make docs          the documentation as a site, docs/_build/html/index.html; a dead link is an error
# make notebook      the tutorial, run: docs/_build/tutorial.ipynb, in five minutes
# make pages         do the reports fit a telephone and a desk? pictures in runs/pages, by Chromium
# make faults        commands killed, starved and cut, 50 rounds: 40 minutes; ROUNDS=4 for a few, SEED=1 for the same
# Each sets up .venv once. Another Python, in .venv-3.12: make test PYTHON=python3.12
PYTHON ?= python3
PYTHONS := 3.10 3.11 3.12 3.13
VENV := .venv$(patsubst python%,-%,$(filter-out python python3,$(notdir $(PYTHON))))
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := torch==2.13.0 monai==1.6.1 torchio==1.2.1 batchgenerators==0.25.5 batchgeneratorsv2==0.3.6
PEERS_VENV := .venv-peers
ROUNDS ?= 50

.DEFAULT_GOAL := help
.PHONY: help install demo test test-pythons science-smoke intervals docs notebook pages faults bench-peers bench-step check format clean

help:
	@sed -n '1,10s/^# //p' Makefile

$(STAMP): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v[:2] <= (3, 13) else \
	  f"ssl3d_tf needs Python 3.10 to 3.13, $(PYTHON) is {v[0]}.{v[1]}: make $(MAKECMDGOALS) PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (about 3 GB, a few minutes, once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,dev,docs]'
	@touch $@

install: $(STAMP)

demo: $(STAMP)
	@$(BIN)/python -m ssl3d_tf.quickstart

# Three on two cores, as tests wait for programs that they start. In the order of the folders: by their number of tests,
# the heaviest files would come last, on one core.
test: $(STAMP)
	$(BIN)/python -m pytest tests -n 3 --dist=loadscope --no-loadscope-reorder

test-pythons:
	@report=; for v in $(PYTHONS); do \
	  if ! python$$v --version >/dev/null 2>&1; then report="$$report$$v  not found\n"; continue; fi; \
	  start=$$(date +%s); \
	  if $(MAKE) --no-print-directory test PYTHON=python$$v; then result=passed; else result=failed; fi; \
	  report="$$report$$v  $$result  $$((($$(date +%s) - start) / 60)) minutes\n"; \
	done; printf "$$report"; case $$report in *failed*) exit 1;; *passed*) ;; *) exit 1;; esac

science-smoke: $(STAMP)
	$(BIN)/python -m pytest tests/science_smoke.py -n 2

intervals: $(STAMP)
	$(BIN)/python -m pytest tests/interval_coverage.py -n 2 -s

docs: $(STAMP)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

notebook: $(STAMP)
	@mkdir -p docs/_build
	$(BIN)/jupytext --quiet --to ipynb -o docs/_build/tutorial.ipynb docs/tutorial.py
	$(BIN)/jupyter-execute --inplace docs/_build/tutorial.ipynb
	@echo "docs/_build/tutorial.ipynb"

pages: $(STAMP)
	$(BIN)/python -m pytest tests/pages_in_browser.py

faults: $(STAMP)
	$(BIN)/python -m benchmarks.faults --rounds=$(ROUNDS) $(addprefix --seed=,$(SEED))

$(PEERS_VENV)/.installed:
	@$(PYTHON) -m venv $(PEERS_VENV)
	@echo "installing $(PEERS) into $(PEERS_VENV), once"
	@$(PEERS_VENV)/bin/pip install --quiet --disable-pip-version-check $(PEERS)
	@touch $@

bench-peers: $(STAMP) $(PEERS_VENV)/.installed
	$(BIN)/python -m benchmarks.peers --python=$(PEERS_VENV)/bin/python --json=runs/peers.json

bench-step: $(STAMP) $(PEERS_VENV)/.installed
	@mkdir -p runs
	$(BIN)/python -m benchmarks.step --python=$(PEERS_VENV)/bin/python --json=runs/step.json

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
