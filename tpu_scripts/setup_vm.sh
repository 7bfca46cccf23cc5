#!/usr/bin/env bash
# On a TPU VM, in the project's root: the locked environment, and the TPU library for the jax of the lock.
#     tpu_scripts/setup_vm.sh
# On all workers of a pod:
#     gcloud compute tpus tpu-vm ssh NAME --zone=ZONE --worker=all --command="cd sift_jax && tpu_scripts/setup_vm.sh"
set -euo pipefail
cd "$(dirname "$0")/.."

python="${PYTHON:-python3.11}"
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements.lock
jax_version=$(.venv/bin/python -c "import importlib.metadata; print(importlib.metadata.version('jax'))")
.venv/bin/python -m pip install --quiet "jax[tpu]==$jax_version"
touch .venv/.installed
.venv/bin/python -c "import jax; print('jax', jax.__version__)"
