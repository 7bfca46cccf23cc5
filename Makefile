# Two commands are all a newcomer needs: `make quickstart` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/runs/.compiled
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: quickstart laptop lint test docs check tpu gpu test-slow test-kills parity extras lock clean

# A lock a Python: 3.11 has jax 0.10, the later ones the newest. make test PYTHON=python3.13
VERSION := $(shell $(PYTHON) -c "import sys; print('%d.%d' % sys.version_info[:2])")
LOCK := $(if $(filter 3.11,$(VERSION)),requirements.lock,requirements-$(VERSION).lock)

$(VENV)/.installed: $(LOCK)
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(LOCK)
	touch $@

# nine steps, told as they run; `$(PY) -m sift_jax.quickstart --list` prints their commands
quickstart: $(VENV)/.installed
	$(PY) -m sift_jax.quickstart

# Whisper-base, SmolLM2-135M and mini LibriSpeech, downloaded, trained and asked; docs/tutorials/laptop.md
laptop: $(VENV)/.installed
	$(PY) -m sift_jax.laptop

# a process a core, which takes whole files; WORKERS=0 is one process, for a debugger
WORKERS ?= auto
PYTEST := $(PY) -m pytest --numprocesses=$(WORKERS) --dist=loadfile --durations=20

# style, layout and types, before any test
lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

test: lint
	$(PYTEST) -m "not slow and not parity and not extras"

# the quick tests of one package: make check PKG=data
PKG ?= data
check: lint
	$(PY) -m pytest -m "not slow and not parity and not extras" tests/$(PKG)

# one after the other: many of them are runs of several processes
test-slow: $(VENV)/.installed
	$(PY) -m pytest --durations=20 -m slow

# a run killed at random moments, again and again, ends as one that nobody disturbed: 100 kills of one process, 20 of two
KILLS ?= 100
PROCESSES ?= 1
test-kills: $(VENV)/.installed
	$(PY) tests/training/kills.py --kills=$(KILLS) --processes=$(PROCESSES)

# one thread: on busy cores PyTorch is many times slower with two
parity: export OMP_NUM_THREADS := 1
parity: $(VENV)/.installed
	$(PY) -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps peft==0.21.2 accelerate==1.15.0
	$(PYTEST) -m parity

# what the TPU's own compiler makes of a step; no TPU is needed, and libtpu stays in a folder of its own: where it is
# installed jax looks for a TPU
LIBTPU := .libtpu
tpu: export JAX_PLATFORMS := cpu
tpu: export PYTHONPATH := $(CURDIR)/$(LIBTPU)
tpu: $(VENV)/.installed $(LIBTPU)/.installed
	$(PY) -m pytest --durations=20 -m tpu

$(LIBTPU)/.installed:
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --target=$(LIBTPU) libtpu==0.0.42.1
	touch $@

# the same by the GPUs' compiler, in a folder of its own too: 1.7 GB, most of it cuDNN
GPU_COMPILE := .gpu_compile
gpu: export JAX_PLATFORMS := cpu
gpu: export PYTHONPATH := $(CURDIR)/$(GPU_COMPILE)
gpu: $(VENV)/.installed $(GPU_COMPILE)/.installed
	$(PY) -m pytest --durations=20 -m gpu

$(GPU_COMPILE)/.installed:
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --target=$(GPU_COMPILE) jax-cuda12-plugin==0.10.2 \
		jax-cuda12-pjrt==0.10.2 nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cudnn-cu12==9.28.0.42
	touch $@

# the optional packages of setup.py
extras: $(VENV)/.installed
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps pocketsphinx==5.1.1 speechmos==0.0.1.1 onnxruntime==1.31.1 \
		praat-parselmouth==0.4.7 axe-playwright-python==0.1.8
	$(PY) -m pip install --quiet --disable-pip-version-check gcsfs==2026.7.0 google-cloud-storage==3.17.1 gcp-storage-emulator==2026.7.19 \
		'protobuf<7'
	$(PYTEST) -m extras

# the site of docs/, in an environment of its own; fails on a broken link and on a page that no menu names
DOCS_VENV := .venv-docs
docs: export NO_MKDOCS_2_WARNING := 1
docs: $(DOCS_VENV)/.installed
	$(DOCS_VENV)/bin/mkdocs build --strict --quiet

$(DOCS_VENV)/.installed: docs/requirements.lock
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r docs/requirements.lock
	touch $@

COMPILE := uv pip compile setup.py --extra test --generate-hashes --no-header --no-annotate
lock:
	$(COMPILE) --python-version 3.11 -o requirements.lock
	$(COMPILE) --python-version 3.12 -o requirements-3.12.lock
	$(COMPILE) --python-version 3.13 -o requirements-3.13.lock
	uv pip compile docs/requirements.in --generate-hashes --no-header --no-annotate --python-version 3.11 -o docs/requirements.lock

clean:
	rm -rf runs
