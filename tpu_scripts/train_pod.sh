#!/usr/bin/env bash
# Starts one run on all workers of a TPU pod; everything behind the zone goes to python -m sift_jax.train.
#     tpu_scripts/train_pod.sh NAME ZONE --gin_file=configs/stage2.gin --gin.OUT_DIR=gs_mount/runs/stage2
# Every worker has the project in ~/sift_jax, set up by setup_vm.sh, and sees the same records and OUT_DIR.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: tpu_scripts/train_pod.sh NAME ZONE --gin_file=… [flags of python -m sift_jax.train]" >&2
  exit 2
fi
name=$1 zone=$2
shift 2

# quoted once more, for the shell on the other side
flags=$(printf ' %q' "$@")
gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all \
  --command="cd ~/sift_jax && .venv/bin/python -m sift_jax.train --distributed$flags"
