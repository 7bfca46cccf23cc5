#!/usr/bin/env bash
# One host of a TPU pod; `pod.py` calls it on all of them.
#     tpu_scripts/host.sh setup     Python by uv, the locked packages, JAX's TPU library, files of the copies
#     tpu_scripts/host.sh start     the run as a service, which outlives whoever started it, and a reboot
#     tpu_scripts/host.sh stop      SIGTERM: the run saves and ends
#     tpu_scripts/host.sh run       what the service does
# .pod/host.env, made by pod.py, has folder (in the bucket), mount, copies, train, and exported variables.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
folder='' mount='' copies=() train=()
[ -f .pod/host.env ] && . .pod/host.env
unit=sift-run
log=.pod/$(hostname).log
# how often a run may fall within ten minutes of its start, one time after the other
most_falls=${MOST_FALLS:-10}

setup() {
  export PATH="$HOME/.local/bin:$PATH"
  # the images' own Python is 3.10; uv brings 3.11
  command -v uv >/dev/null || python3 -m pip install --quiet --user uv
  uv venv --quiet --allow-existing --python 3.11 .venv
  uv pip install --quiet --python .venv/bin/python --require-hashes --no-deps -r requirements.lock
  version=$(sed -n 's/^jax==\([^ ]*\).*/\1/p' requirements.lock)
  uv pip install --quiet --python .venv/bin/python "jax[tpu]==$version"
  # the extra gcs: an OUT_DIR on gs://
  uv pip install --quiet --python .venv/bin/python "gcsfs>=2026.1" "google-cloud-storage>=3" "protobuf<7"
  if [ -n "$mount" ]; then
    sudo mkdir -p /mnt/shared
    mountpoint -q /mnt/shared || sudo mount -t nfs -o hard,timeo=600 "$mount" /mnt/shared
    sudo chmod 1777 /mnt/shared
  fi
  for ((i = 0; i < ${#copies[@]}; i += 2)); do
    mkdir -p "${copies[i + 1]}"
    gcloud storage rsync --recursive "${copies[i]}" "${copies[i + 1]}"
  done
}

start() {
  sudo tee /etc/systemd/system/$unit.service >/dev/null <<UNIT
[Unit]
Description=sift_jax
After=network-online.target remote-fs.target
Wants=network-online.target

[Service]
User=$(id -un)
WorkingDirectory=$here
ExecStart=/bin/bash $here/tpu_scripts/host.sh run
# to the shell alone, which hands it on: the run saves, and what is left after that is killed
KillMode=mixed
TimeoutStopSec=300
Restart=no

[Install]
WantedBy=multi-user.target
UNIT
  sudo systemctl daemon-reload
  sudo systemctl enable --quiet $unit
  sudo systemctl restart $unit
}

stop() {
  sudo systemctl disable --quiet $unit
  sudo systemctl stop $unit
}

# logs are written here and copied whole: nothing is appended to an object
copy_log() {
  gcloud storage cp --quiet "$log" "$folder/logs/$(hostname).log" >/dev/null 2>&1 || true
}

copy_log_on() {
  while sleep "${LOG_SECONDS:-60}"; do copy_log; done
}

say() {
  printf '%s host: %s\n' "$(date -u +%FT%TZ)" "$1" >>"$log"
}

run() {
  mkdir -p .pod
  is_leaving='' child='' falls=0 code=0
  trap 'is_leaving=1; if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null || true; fi' TERM INT
  say "the run starts"
  copy_log
  copy_log_on &
  copier=$!
  while [ -z "$is_leaving" ]; do
    began=$SECONDS
    .venv/bin/python -m sift_jax.train --distributed "${train[@]}" >>"$log" 2>&1 &
    child=$!
    code=0
    wait "$child" || code=$?
    # a signal ends the waiting before the run has ended
    while kill -0 "$child" 2>/dev/null; do
      code=0
      wait "$child" || code=$?
    done
    child=''
    say "the run ended with status $code"
    if [ -n "$is_leaving" ]; then break; fi
    case $code in
      69 | 75 | 137) ;;
      *) break ;;
    esac
    if ((SECONDS - began > 600)); then falls=0; fi
    falls=$((falls + 1))
    if ((falls >= most_falls)); then break; fi
    sleep "${PAUSE_SECONDS:-10}"
  done
  kill "$copier" 2>/dev/null || true
  copy_log
  # a machine that goes down is no end of the run
  if [ -z "$is_leaving" ]; then
    printf '%s\n' "$code" | gcloud storage cp --quiet - "$folder/logs/$(hostname).ended.$code"
    # after a reboot there is nothing to go on with
    sudo systemctl disable --quiet $unit || true
  fi
}

case ${1:-} in
  setup | start | stop | run) "$1" ;;
  *)
    echo "usage: tpu_scripts/host.sh setup|start|stop|run" >&2
    exit 2
    ;;
esac
