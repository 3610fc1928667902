# Everything runs in .venv, installed by uv from the hash-pinned lock. uv comes from the machine or into .uv/.
SHELL := /bin/bash
UV := $(shell command -v uv || echo .uv/bin/uv)
PYTHON := .venv/bin/python
EXTRAS := --all-extras

.PHONY: setup demo full test fuzz test-gpu lab lock lint bundled bench bench-overhead bench-peer clean

setup: .venv/.done

.venv/.done: requirements.lock pyproject.toml
	@command -v uv >/dev/null || test -x .uv/bin/uv || (python3 -m venv .uv && .uv/bin/python -m pip install -q uv)
	@test -x $(PYTHON) || $(UV) venv -q --python-preference only-system .venv
	$(UV) pip sync -q --compile-bytecode --python $(PYTHON) --require-hashes requirements.lock
	$(UV) pip install -q --python $(PYTHON) --no-deps --no-build-isolation -e .
	@touch $@

demo: setup  ## the main job on the bundled models; ends with the path of the report
	$(PYTHON) -m mic2e_bench demo

full: setup  ## the longer studies, then the guides' tables from their records
	$(PYTHON) -m mic2e_bench report params/full/*.yaml
	$(PYTHON) -m mic2e_bench tables

test: setup  ## every test that needs no GPU
	OMP_WAIT_POLICY=PASSIVE $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

fuzz: setup  ## damaged inputs of every kind, for ten minutes or FUZZ_SECONDS; what is answered badly lies in .fuzz/
	HF_HUB_OFFLINE=1 $(PYTHON) tests/fuzz/fuzz.py

# with another Python (make test-gpu PYTHON=python3) nothing is set up: it has what the tests need
test-gpu: $(if $(filter .venv/%,$(PYTHON)),setup)  ## the tests that need a CUDA device
	PYTHONPATH="$(CURDIR)$${PYTHONPATH:+:$$PYTHONPATH}" $(PYTHON) tests/gpu.py

lab: setup  ## JupyterLab, with the start page open
	$(PYTHON) -m mic2e_bench lab

lock:  ## compile the lock anew from pyproject.toml
	$(UV) pip compile -q --universal --python-version 3.11 $(EXTRAS) --generate-hashes --no-header --no-annotate pyproject.toml -o requirements.lock

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

bundled: setup  ## train the bundled models anew (hours); goes on where it stopped
	$(PYTHON) -m mic2e_bench.workshop.train all

bench: setup  ## the workbench's own benchmarks, into BENCHMARKS.md; three quarters of an hour, on a quiet machine
	$(PYTHON) -m mic2e_bench.workshop.proof

bench-overhead: setup  ## what a sweep costs beside its pipelines' calls
	$(PYTHON) -m mic2e_bench.workshop.proof overhead

bench-peer: setup  ## the same sweep by optimum-benchmark, in an environment of its own
	$(PYTHON) -m mic2e_bench.workshop.proof peer

clean:  ## remove what setup made (results stay)
	rm -rf .venv .uv .peer
