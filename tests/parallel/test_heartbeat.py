"""Which process is to blame: by its silence, by its reading while the others wait, by its own
words."""

import dataclasses
import re
import threading

import pytest

from sift_jax.parallel.heartbeat import Beat, Watch, judge

FINE = Beat(
    count=9,
    step=12,
    doing="stepping",
    seconds=3.0,
    end=None,
    verdict=None,
    patience=45.0,
    seen=100.0,
)


def make(**changes):
    return dataclasses.replace(FINE, **changes)


@pytest.mark.parametrize(
    "other, now, verdict",
    [
        ({}, 101.0, None),
        # all wait for a device together: nobody is to blame
        ({"seconds": 500.0}, 101.0, None),
        (
            {"seen": 50.0},
            101.0,
            "process 1 has not been heard of for 51 s (last stepping, step 12)",
        ),
        (
            {"doing": "reading", "seconds": 46.0},
            101.0,
            "process 1 hangs (46 s at reading, step 12), the others wait",
        ),
        ({"doing": "reading", "seconds": 40.0}, 101.0, None),
        # it is ahead, or still before its first batch: nobody waits for it
        ({"doing": "reading", "seconds": 46.0, "step": 13}, 101.0, None),
        ({"doing": "starting", "seconds": 400.0}, 101.0, None),
        ({"end": "no space"}, 101.0, "process 1 ended (no space)"),
        ({"end": "done", "seen": 0.0}, 101.0, None),
        ({"verdict": "process 2 hangs"}, 101.0, "process 2 hangs"),
    ],
)
def test_the_process_to_blame_is_named(other, now, verdict):
    assert judge({0: FINE, 1: make(**other)}, now, 45.0) == verdict


class Store:
    """The key-value store of JAX's coordination service, as far as it is used; `moved` counts the
    values that pass."""

    def __init__(self):
        self.values, self.moved = {}, 0

    def key_value_set(self, key, value, allow_overwrite):
        assert allow_overwrite
        self.values[key] = value
        self.moved += 1

    def key_value_dir_get(self, folder):
        # a key is not a folder of its own
        found = [(key, x) for key, x in self.values.items() if key.startswith(f"{folder}/")]
        self.moved += len(found)
        return found


def test_beats_carry_what_each_does():
    store = Store()
    one, two = Watch(store, 0), Watch(store, 1)
    two.mark(7, "reading")
    two.beat()
    one.beat()
    seen = one.beats[1]
    assert (seen.step, seen.doing, seen.count) == (7, "reading", 1)
    one.beat()
    assert one.beats[1].seen == seen.seen, "the same beat is no news"
    two.finish()
    one.beat()
    assert one.beats[1].end == "done" and one.beats[1].seen > seen.seen


def test_a_thousand_hosts_read_three_thousand_beats():
    store = Store()
    watches = [Watch(store, index, others=range(1000)) for index in range(1000)]
    for watch in watches:
        watch.mark(12, "stepping")
        watch.beat()
    store.moved = 0
    for watch in watches:
        watch.beat()
    # each writes one and reads that of process 0, which reads all others'
    assert store.moved == 1000 + 999 + 999
    assert len(watches[0].beats) == 1000 and set(watches[7].beats) == {0, 7}


def test_all_hear_whom_process_0_blames(monkeypatch):
    """Of a process that two others know nothing of; and of the patience of one that suspects it."""
    store, left = Store(), []
    watches = [Watch(store, i, others=range(4), limit=60.0, interval=0.02) for i in (0, 2, 3)]
    for watch in watches:

        def leave(code, reason, watch=watch):
            # as it does: the last beat says why
            watch.is_over.set()
            watch.beat()
            left.append((watch.index, code))

        monkeypatch.setattr(watch, "leave", leave)
        watch.start()
    watches[2]._limit = 0.5
    for watch in watches:
        assert watch.is_over.wait(10)
        assert watch.verdict.startswith("process 1 has not been heard of for")
    assert sorted(left) == [(0, 69), (2, 69), (3, 69)]


def test_who_is_blamed_has_the_last_word():
    """What failed here for that reason is not told beside it, however long the last words take."""
    watch = Watch(Store(), 0, limit=0.0, interval=0.01)
    watch.verdict = "process 1 is gone"
    waiting = threading.Thread(target=watch.await_verdict, daemon=True)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    watch.verdict = None
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_process_that_never_said_a_word_is_named(capfd, monkeypatch):
    """It joined and was killed before its first beat."""
    left = []
    watch = Watch(Store(), 0, others=[1, 2], limit=0.2, interval=0.02)
    monkeypatch.setattr(
        watch, "leave", lambda code, reason: left.append(code) or watch.is_over.set()
    )
    other = Watch(watch.client, 2, limit=60.0, interval=0.02)
    # it hears the verdict, and would end the process
    monkeypatch.setattr(other, "leave", lambda code, reason: other.is_over.set())
    other.start()
    watch.start()
    watch.is_over.wait(10)
    other.is_over.set()
    named = r"error: process 1 has not been heard of for \d s \(last starting, step 0\)"
    assert left == [69] and re.search(named, capfd.readouterr().err)
