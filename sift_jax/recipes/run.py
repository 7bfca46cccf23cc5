"""Runs the steps of a recipe, one process a command, and narrates.

    ── step 2 of 9 · train the encoder to hear … · about 4 min · 14:03 ──
    $ python -m sift_jax.train --gin_file=configs/quickstart/hear.gin

out/steps.json   {"hear": {"commands": […], "seconds": 231.4, "cpu_seconds": 402.0}, …}: a step that
stands there with the same commands is finished; from the first that does not, all are run.

A word of a command may name a file that an earlier step makes: `--audio={first data/audio/*_en_*.flac}`
becomes the first file, in the order of names, that fits the pattern when the step begins.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sift_jax.progress import format_seconds
from sift_jax.storage.whole_files import write_whole

# On two cores two devices are a quarter faster than one device with two threads. Programs that were
# compiled once are found by the next command.
SETTINGS = {
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    "JAX_COMPILATION_CACHE_DIR": "runs/.compiled",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


_FIRST = re.compile(r"\{first (?P<pattern>[^}]+)\}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a recipe. Every command is one that can be typed."""

    name: str
    title: str
    # on two idle cores, about
    minutes: float
    # module and flags, as behind `python -m`
    commands: tuple[tuple[str, ...], ...]
    # what to expect of it, for a step that takes long
    note: str = ""


class StepError(RuntimeError):
    """A command of a step ended with another status than 0, which becomes that of the recipe."""

    def __init__(self, text: str, exit_code: int):
        super().__init__(text)
        self.exit_code = exit_code


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepTime:
    """What a finished step took, on the clock and of the processor."""

    seconds: float
    cpu_seconds: float


def format_minutes(minutes: float) -> str:
    if minutes < 1:
        return "half a minute"
    return f"{minutes:g} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def format_command(command: Sequence[str]) -> str:
    """As it is typed."""
    return shlex.join(["python", "-m", *command])


def list_steps(steps: Sequence[Step]) -> str:
    """All of it for a shell, without running anything: there a {first …} is looked for when its
    step comes."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in SETTINGS.items()]
    for number, step in enumerate(steps, 1):
        lines += ["", f"# {number}. {step.title} ({format_minutes(step.minutes)})"]
        lines += [f"# {step.note}"] if step.note else []
        lines += [" ".join(["python", "-m", *map(_quote, command)]) for command in step.commands]
    return "\n".join(lines)


def _quote(word: str) -> str:
    """A word as a shell reads it: a pattern outside of quotes, in an `ls` that takes the first."""
    first = _FIRST.search(word)
    if not first:
        return shlex.quote(word)
    found = f'"$(ls {first["pattern"]} | head -n 1)"'
    around = (word[: first.start()], word[first.end() :])
    return found.join(shlex.quote(part) if part else "" for part in around)


def run_steps(steps: Sequence[Step], out: str) -> dict[str, StepTime]:
    """Runs what is not finished; returns what each step took."""
    path = Path(out) / "steps.json"
    minutes = sum(step.minutes for step in steps)
    print(f"{len(steps)} steps, about {format_minutes(minutes)} on two idle cores, into {out}")
    done = _read_done(path, steps)
    for number, step in enumerate(steps, 1):
        head = f"step {number} of {len(steps)} · {step.title}"
        if step.name in done:
            print(f"── {head} · done in {format_seconds(done[step.name].seconds)}")
            continue
        clock = time.strftime("%H:%M")
        print(f"\n── {head} · about {format_minutes(step.minutes)} · {clock}", flush=True)
        if step.note:
            print(f"   {step.note}", flush=True)
        done[step.name] = _run_step(step, f"step {number}")
        _write_done(path, steps, done)
        print(f"   done in {format_seconds(done[step.name].seconds)}", flush=True)
    return done


def _run_step(step: Step, label: str) -> StepTime:
    begun, used = time.monotonic(), _count_cpu_seconds()
    for command in step.commands:
        words = [_fill(word) for word in command]
        print(f"$ {format_command(words)}", flush=True)
        environment = {**SETTINGS, **os.environ}
        status = subprocess.run([sys.executable, "-m", *words], env=environment).returncode
        if status:
            raise StepError(
                f"{label} ended with status {status}; what went before is kept, and the same "
                "command resumes from this step",
                exit_code=status if status > 0 else 128 - status,
            )
    return StepTime(seconds=time.monotonic() - begun, cpu_seconds=_count_cpu_seconds() - used)


def _fill(word: str) -> str:
    return _FIRST.sub(lambda first: _find_first(first["pattern"]), word)


def _find_first(pattern: str) -> str:
    found = min(Path().glob(pattern), default=None)
    if found is None:
        raise FileNotFoundError(
            f"no file {pattern}, which an earlier step should have made; delete the recipe's "
            "steps.json, and the same command makes it again"
        )
    return str(found)


def _count_cpu_seconds() -> float:
    """Of all commands so far, with their worker processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _read_done(path: Path, steps: Sequence[Step]) -> dict[str, StepTime]:
    """The finished ones, up to the first that is not: what comes after it read what it made."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); delete it to start over") from error
    done = {}
    for step in steps:
        entry = found.get(step.name)
        if not entry or entry["commands"] != [list(command) for command in step.commands]:
            break
        done[step.name] = StepTime(seconds=entry["seconds"], cpu_seconds=entry["cpu_seconds"])
    return done


def _write_done(path: Path, steps: Sequence[Step], done: dict[str, StepTime]) -> None:
    entries = {
        step.name: {"commands": step.commands, **dataclasses.asdict(done[step.name])}
        for step in steps
        if step.name in done
    }
    write_whole(path, json.dumps(entries, indent=1) + "\n")
