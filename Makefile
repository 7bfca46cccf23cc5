# Two commands are all a newcomer needs: `make quickstart` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
RUN := runs/quickstart
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/runs/.compiled
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: quickstart test docs check test-slow test-kills parity extras lock clean

$(VENV)/.installed: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	touch $@

# on two CPU cores two devices are a quarter faster than one device with two threads
quickstart: export XLA_FLAGS := --xla_force_host_platform_device_count=2
quickstart: $(VENV)/.installed
	$(PY) -m data_prep.build --corpus=embedded --out=$(RUN)/data --train=1000 --wordings=2 --plain --rows_per_utterance=6
	$(PY) -m data_prep.tokenizer --sift=$(RUN)/data/sift --out=$(RUN)/data/tokenizer --size=4096
	$(PY) -m sift_jax.train --gin_file=configs/quickstart/hear.gin
	$(PY) -m sift_jax.train --gin_file=configs/quickstart/name.gin
	$(PY) -m sift_jax.train --gin_file=configs/quickstart/stage1.gin
	$(PY) -m sift_jax.train --gin_file=configs/quickstart/stage2.gin
	$(PY) -m sift_jax.export --checkpoint=$(RUN)/stage2 --out=$(RUN)/export
	$(PY) -m sift_jax.ask --checkpoint=$(RUN)/export --audio=$$(ls $(RUN)/data/audio/*.flac | grep _en_ | head -1) "How fast does she speak?"
	$(PY) -m sift_jax.evaluate --gin_file=configs/quickstart/evaluate.gin
	test -f $(RUN)/codec/codec.json || $(PY) -m sift_jax.units fit --audio=$(RUN)/data/metadata.jsonl --out=$(RUN)/codec
	$(PY) -m data_prep.units --records=$(RUN)/data/records --codec=$(RUN)/codec
	$(PY) -m sift_jax.train --gin_file=configs/quickstart/stage3.gin
	$(PY) -m sift_jax.speak --checkpoint=$(RUN)/stage3 --text="The train to the coast leaves at noon." \
		--style="very slowly, softly" --out=$(RUN)/speech.wav
	$(PY) -m data_prep.generation items --build=$(RUN)/data --out=$(RUN)/generation/items.jsonl --limit=30
	$(PY) -m data_prep.generation items --build=$(RUN)/data --out=$(RUN)/generation/sweep.jsonl --sweep --languages=en
	$(PY) -m sift_jax.speak --checkpoint=$(RUN)/stage3 --items=$(RUN)/generation/items.jsonl --samples=2 --rows=32 --out=$(RUN)/generation/spoken
	$(PY) -m sift_jax.speak --checkpoint=$(RUN)/stage3 --items=$(RUN)/generation/sweep.jsonl --out=$(RUN)/generation/swept
	$(PY) -m data_prep.generation resynthesize --items=$(RUN)/generation/items.jsonl --codec=$(RUN)/codec --build=$(RUN)/data \
		--out=$(RUN)/generation/ceiling
	$(PY) -m data_prep.generation score --spoken=$(RUN)/generation/spoken --ceiling=$(RUN)/generation/ceiling --build=$(RUN)/data \
		--out=$(RUN)/generation/figures
	$(PY) -m data_prep.generation page --spoken=$(RUN)/generation/swept --build=$(RUN)/data --out=$(RUN)/generation/page.html

# a process a core, which takes whole files; WORKERS=0 is one process, for a debugger
WORKERS ?= auto
PYTEST := $(PY) -m pytest --numprocesses=$(WORKERS) --dist=loadfile --durations=20

test: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(PYTEST) -m "not slow and not parity and not extras"

# the quick tests of one package: make check PKG=data
PKG ?= data
check: $(VENV)/.installed
	$(VENV)/bin/ruff check .
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

# the optional packages of setup.py
extras: $(VENV)/.installed
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps pocketsphinx==5.1.1 speechmos==0.0.1.1 onnxruntime==1.31.1 \
		praat-parselmouth==0.4.7
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

lock:
	uv pip compile setup.py --extra test --generate-hashes --no-header --no-annotate --python-version 3.11 -o requirements.lock
	uv pip compile docs/requirements.in --generate-hashes --no-header --no-annotate --python-version 3.11 -o docs/requirements.lock

clean:
	rm -rf runs
