"""A run's config, and what a later start of it changes.

run/config.gin       by which it resumes
run/config.1.gin     that of its first part, config.2.gin that of the next, … where a start has changed it
"""

from __future__ import annotations

import re
from pathlib import Path

from sift_jax.storage.whole_files import write_whole

CONFIG = "config.gin"
BINDING = re.compile(r"([A-Za-z_][\w./]*)\s*=\s*(.*)", re.DOTALL)


def read_bindings(text: str) -> dict[str, str]:
    """{name: value} of a resolved config, in which a value may go on in lines that are indented or
    close a bracket."""
    statements: list[str] = []
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if BINDING.match(line) or not statements:
            statements.append(line)
        else:
            statements[-1] += "\n" + line
    found = (BINDING.match(statement) for statement in statements)
    return {match[1]: " ".join(match[2].replace("\\\n", " ").split()) for match in found if match}


def list_changes(old: str, new: str) -> list[str]:
    """Each binding that differs: "STEPS 600 → 1200"."""
    before, after = read_bindings(old), read_bindings(new)
    return [
        f"{name} {before.get(name, 'unbound')} → {after.get(name, 'unbound')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def write_config(run_dir: Path, text: str, *, step: int) -> str | None:
    """config.gin of a run that resumes from `step`; one that says something else stays beside it,
    and what changes is returned."""
    path, said = run_dir / CONFIG, None
    old = path.read_text() if step and path.is_file() else text
    if changes := list_changes(old, text):
        number = 1
        # one that was killed here has kept it already
        while (kept := run_dir / f"config.{number}.gin").is_file() and kept.read_text() != old:
            number += 1
        write_whole(kept, old)
        said = (
            f"from step {step} on {run_dir} has another config than before ({kept}): "
            f"{'; '.join(changes)}"
        )
    write_whole(path, text)
    return said


def describe_end(run_dir: Path, step: int, steps: int, config_text: str) -> str:
    """What is said where a run has its steps already; another config than the run's own does not go
    unsaid."""
    said = f"{run_dir} is trained to step {step} of {steps}: nothing to do"
    path = run_dir / CONFIG
    if path.is_file() and (changes := list_changes(path.read_text(), config_text)):
        said += (
            f"; this config is not the one that it was trained by ({path}): {'; '.join(changes)}; "
            "delete it to "
        )
        said += "train from scratch by this one"
    return said
