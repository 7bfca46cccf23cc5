"""Several processes, one run: each is started with the same command and sees all devices of the
others.

TPU pod:       every worker   --distributed                                              the pod says who is who
anywhere else: process i      --coordinator=host:port --processes=n --process_index=i
"""

from __future__ import annotations

import functools
import hashlib
import os
import time
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from sift_jax.parallel import heartbeat
from sift_jax.parallel.abort_handler import explain_aborts, name_lost_coordinator

# a network's file system may take a moment to show what another machine wrote
SHARED_SECONDS = 10.0
# how long the processes of a run wait for each other at the start
JOIN_SECONDS = int(os.environ.get("SIFT_JOIN_SECONDS", "300"))


def start_distributed(coordinator: str | None, processes: int | None, index: int | None) -> None:
    """Joins the processes of a run; call it before anything touches a device."""
    if coordinator is None:
        if processes is not None or index is not None:
            raise ValueError(
                "--processes and --process_index need --coordinator=host:port, the address of "
                "process 0"
            )
        try:
            _join("the coordinator")
        except ValueError as error:
            raise ValueError(
                f"--distributed finds no cluster here ({error}); give --coordinator, --processes "
                "and --process_index"
            ) from error
        _start_watch()
        return
    if processes is None or index is None or not 0 <= index < processes:
        raise ValueError(
            f"--coordinator needs --processes=n and --process_index=0…n-1; they are {processes} "
            f"and {index}"
        )
    # between CPU processes there is no other way; GPUs and TPUs ignore it
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    _join(coordinator, coordinator, processes, index)
    _start_watch()


def _join(
    address: str,
    coordinator: str | None = None,
    processes: int | None = None,
    index: int | None = None,
) -> None:
    """JAX aborts where one of the processes does not come."""
    line = (
        f"not all processes of the run came to {address} within {JOIN_SECONDS} s: start every one "
        "of them, each with its own --process_index, where that address can be reached; "
        "SIFT_JOIN_SECONDS sets the patience"
    )
    explain_aborts(lambda: line, heartbeat.LOST)
    jax.distributed.initialize(coordinator, processes, index, initialization_timeout=JOIN_SECONDS)


def _start_watch() -> None:
    """Each sees to it that the others are well, through the store that JAX keeps for them."""
    # there is no public name for the client; Orbax takes it from here too
    from jax._src.distributed import global_state

    if global_state.num_processes > 1:
        heartbeat.start_watch(
            global_state.client, global_state.process_id, global_state.num_processes
        )
    # process 0 itself listens there
    address = global_state.coordinator_address
    if address is None:
        raise RuntimeError("JAX has joined the processes and names no coordinator; start again")
    explain_aborts(functools.partial(name_lost_coordinator, address), heartbeat.LOST)


def is_first_process() -> bool:
    """The one that writes what all of them know."""
    return jax.process_index() == 0


def meet(reason: str) -> None:
    """Returns once every process of the run is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(reason)


def await_all(reason: str) -> None:
    """`meet` for those who do not walk in step: it waits as long as it takes. A reason serves
    once."""
    from jax._src.distributed import global_state

    client, place = global_state.client, f"sift_jax/here/{reason}"
    if client is None or global_state.num_processes in (None, 1):
        return
    client.key_value_set(f"{place}/{global_state.process_id}", "here")
    while len(client.key_value_dir_get(place)) < global_state.num_processes:
        time.sleep(0.2)


def fetch(array: jax.Array) -> np.ndarray:
    """All of an array here; where parts of it lie with other processes, all of them must call
    this."""
    if array.is_fully_addressable or array.is_fully_replicated:
        return np.asarray(array)
    return multihost_utils.process_allgather(array, tiled=True)


def check_shared(folder: Any) -> None:
    """All processes must see the same folder: the first writes, the others look."""
    if jax.process_count() == 1:
        return
    folder.mkdir(parents=True, exist_ok=True)
    token = int(
        multihost_utils.broadcast_one_to_all(
            np.random.default_rng().integers(2**31, dtype=np.int32)
        )
    )
    path = folder / f".seen-{token}"
    if is_first_process():
        path.touch()
    meet("the folder's mark is written")
    deadline = time.monotonic() + SHARED_SECONDS
    while not (is_seen := path.is_file()) and time.monotonic() < deadline:
        time.sleep(0.2)
    seen = multihost_utils.process_allgather(np.asarray(is_seen))
    if is_first_process():
        path.unlink()
    if not seen.all():
        blind = ", ".join(str(index) for index in np.flatnonzero(~seen))
        raise ValueError(
            f"{folder} is not one folder: process {blind} does not see what process 0 writes "
            "there; set OUT_DIR to a path on storage that all of them share"
        )


def check_same(what: str, value: str, remedy: str) -> None:
    """All processes must hold the same value, or they would part ways in the middle of a step."""
    if jax.process_count() == 1:
        return
    digest = np.frombuffer(hashlib.sha256(value.encode()).digest()[:4], np.uint32)
    found = multihost_utils.process_allgather(digest)[:, 0]
    other = np.flatnonzero(found != found[0])
    if other.size:
        raise ValueError(
            f"{what} of process {other[0]} is not that of process 0 ({value[:80]} here); {remedy}"
        )
