"""Clips made ahead of their turn: nothing is held of what nobody asks for, and a death is one
line."""

import os
import signal
import time

import pytest
from release import write_tone

from data_prep.engine.chunks import BuildError
from data_prep.released.parallel_packer import Packer


@pytest.fixture
def find(tmp_path):
    for number in range(40):
        write_tone(tmp_path / f"x{number}.flac", 200.0 + number)
    return lambda name: (
        str(tmp_path / f"{name}.flac") if (tmp_path / f"{name}.flac").is_file() else None
    )


def test_what_is_not_asked_for_is_let_go(find):
    groups = [(f"x{number}", []) for number in range(40)]
    with Packer(find, "flac", workers=2) as packer:
        packed = []
        for name, _ in packer.look_ahead(
            iter(groups), lambda group: list(dict.fromkeys([group[0], "x7", "absent"]))
        ):
            if name not in ("x3", "x7"):
                packed.append(packer.pack(name))
        assert len(packed) == 38 and all(clip.startswith(b"fLaC") for clip in packed)
        assert not packer._waiting


def test_a_death_is_one_line_wherever_it_is_noticed(find):
    groups = [(f"x{number}", []) for number in range(40)]
    with (
        Packer(find, "flac", workers=2) as packer,
        pytest.raises(BuildError, match="died, of memory.*--workers=1"),
    ):
        for name, _ in packer.look_ahead(iter(groups), lambda group: [group[0]]):
            packer.pack(name)
            for process in list(packer._pool._processes.values()):
                os.kill(process.pid, signal.SIGKILL)
            # Until the pool knows, so that it is the next submission that fails.
            while not packer._pool._broken:
                time.sleep(0.01)
