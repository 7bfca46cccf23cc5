"""What a result was made by: the commit of the code, and the processor."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def read_commit(root: Path = _ROOT) -> str:
    """The commit that is checked out in `root`, with a "+" behind it where tracked files were
    changed since; empty where that is no checkout."""

    def ask(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    try:
        # a package that is installed inside of another's checkout is not of its commit
        if Path(ask("rev-parse", "--show-toplevel")).resolve() != root:
            return ""
        commit = ask("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if ask("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def read_processor() -> str:
    """Its model's name, or else the kind of machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
