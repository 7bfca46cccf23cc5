"""What a command line says beside the config: the same for every command that runs a Gin file."""

from __future__ import annotations

import dataclasses
from types import ModuleType


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launch:
    """`modules` may register tasks and mixtures of the user's; `config_text` is the whole resolved
    config."""

    # print what would run, and stop
    dry_run: bool = False
    # devices that the dry run compiles for, though they are not here: v5e:8x8, h200:8
    topology: str | None = None
    # the first and the last step of a trace by the profiler
    profile: tuple[int, int] | None = None
    modules: tuple[ModuleType, ...] = ()
    config_text: str = ""


# what a caller from Python says, who has no command line
NO_FLAGS = Launch()
