"""What an operator sees of a run: where its time goes, over all of its starts; a line a minute; traces
of steps; the memory of its devices."""

import argparse
import json
import re

import jax
import pytest
from tiny_run import make_run

from sift_jax.launch import Launch
from sift_jax.parallel.hardware import measure_memory
from sift_jax.train import read_steps
from sift_jax.training.goodput import CAUSES, Clocks, TimeLedger, read_time
from sift_jax.training.loop import train
from sift_jax.training.status_line import StatusLine


class Time:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = 1000.0
        self.clocks = Clocks(day=lambda: self.now, steady=lambda: self.now)


def spend(clock, seconds):
    clock.now += seconds


def test_time_is_booked_by_cause_and_kept_over_a_restart(tmp_path):
    clock = Time()
    ledger = TimeLedger(tmp_path, is_writer=True, clocks=clock.clocks)
    spend(clock, 30)
    ledger.begin(0)
    ledger.book("compiling", 20)
    spend(clock, 20)
    for step in range(1, 51):
        spend(clock, 2)
        ledger.note_step(step)
    with ledger.over("saving"):
        spend(clock, 10)
    with ledger.over(None):
        spend(clock, 0)
    ledger.keep()
    shares = ledger.describe()
    # 100 s of training among 160
    assert shares["goodput"] == pytest.approx(100 / 160)
    assert shares["lost/starting"] == pytest.approx(30 / 160)
    assert sum(shares.values()) == pytest.approx(1)
    # killed; the last checkpoint was of step 40, and nobody looked for 40 s
    spend(clock, 40)
    ledger = TimeLedger(tmp_path, is_writer=True, clocks=clock.clocks)
    spend(clock, 10)
    ledger.begin(40)
    for step in range(41, 61):
        spend(clock, 2)
        ledger.note_step(step)
    with ledger.over("evaluating"):
        spend(clock, 10)
    ledger.keep()
    kept = read_time(tmp_path)
    assert (kept.starts, kept.step, kept.steps) == (2, 60, 70)
    assert kept.seconds == pytest.approx(
        {
            # ten steps of two seconds were made twice
            "training": 100 - 20 + 40,
            "redone": 20,
            "away": 40,
            "starting": 40,
            "compiling": 20,
            "saving": 10,
            "evaluating": 10,
            "data": 0,
        }
    )
    assert sum(kept.seconds.values()) == pytest.approx(clock.now - 1000)
    # said twice, it is written as often and counted once
    ledger.keep()
    assert read_time(tmp_path) == kept


def test_a_torn_file_begins_anew(tmp_path):
    (tmp_path / "time.json").write_text('{"starts": 3, "sec')
    assert read_time(tmp_path).starts == 0
    (tmp_path / "time.json").write_text('{"another": 3}')
    assert read_time(tmp_path).starts == 0


def test_who_does_not_write_leaves_no_file(tmp_path):
    TimeLedger(tmp_path, is_writer=False).keep()
    assert not list(tmp_path.iterdir())


def test_a_line_a_minute():
    lines, clock = [], Time()
    status = StatusLine(lines.append, run="stage2", steps=400, now=lambda: clock.now)
    for step in range(1, 100):
        if step == 30:
            status.keep({"loss": 2.3456789, "goodput": 0.91, "learning_rate": 1e-4})
        spend(clock, 2)
        status.see(step)
    # the first step, and then every thirtieth, of two seconds each
    facts = [dict(word.split("=") for word in line.split()[1:]) for line in lines]
    assert [line.split()[0] for line in lines] == ["status"] * 4
    assert [fact["step"] for fact in facts] == ["1", "31", "61", "91"]
    assert "loss" not in facts[0] and facts[1]["loss"] == "2.346" and facts[3]["goodput"] == "0.91"
    assert {fact.get("seconds_a_step") for fact in facts} == {None, "2"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", facts[0]["at"])
    assert facts[1].keys() & {"learning_rate"} == set()


def test_the_fullest_device_is_told(monkeypatch):
    class Device:
        def __init__(self, **said):
            self.memory_stats = lambda: said or None

    full = Device(bytes_in_use=3 * 10**9, peak_bytes_in_use=5 * 10**9)
    other = Device(bytes_in_use=4 * 10**9, peak_bytes_in_use=4 * 10**9)
    monkeypatch.setattr(jax, "local_devices", lambda: [full, other])
    assert measure_memory() == {"memory_gb": 4.0, "memory_peak_gb": 5.0}
    # a CPU says nothing
    monkeypatch.setattr(jax, "local_devices", lambda: [Device()])
    assert measure_memory() == {}


@pytest.mark.parametrize("text", ["100", "5:4", "0:3", "a:b", "-1:3"])
def test_other_steps_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="first and the last step, as 100:105"):
        read_steps(text)
    assert read_steps("100:105") == (100, 105)


def test_a_run_is_traced_and_booked(corpus, tmp_path, capsys):
    """Steps 2 and 3 of four, by their numbers; all shares of its time are one."""
    arguments = make_run(corpus, tmp_path / "run", steps=4, log_every=2, dev_batches=0)
    run_dir = train(**arguments, launch=Launch(profile=(2, 3)))
    (trace,) = (run_dir / "profile").rglob("*.xplane.pb")
    planes = jax.profiler.ProfileData.from_file(str(trace)).planes
    numbers = {
        dict(event.stats)["step_num"]
        for plane in planes
        for line in plane.lines
        for event in line.events
        if event.name == "train" and "step_num" in dict(event.stats)
    }
    assert numbers == {2, 3}
    said = capsys.readouterr().out
    assert "profiling steps 2 to 3" in said and f"the profile is in {run_dir}/profile" in said
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    for values in (line for line in lines if "loss" in line):
        parts = [values["goodput"], *(values[f"lost/{cause}"] for cause in CAUSES)]
        assert sum(parts) == pytest.approx(1, abs=1e-3) and min(parts) >= 0
        assert values["lost/compiling"] > 0 and values["lost/away"] == 0
    kept = read_time(run_dir)
    assert (kept.starts, kept.step, kept.steps) == (1, 4, 4) and kept.seconds["saving"] > 0
