"""What goes wrong with what a run leaves, and what Orbax and TensorStore say of it, in one line.

CheckpointError       cannot be used here        DamagedError    is not what was saved        SaveError    the disk
"""

from __future__ import annotations

import logging
import os
import re

# what lies at the bottom of Orbax's errors where files are missing, torn or broken within
UNREADABLE = (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError)
# and of those which say nothing against the files: TensorStore's are ValueErrors too, and so is the
# loss of a process
NO_DAMAGE = (
    "PERMISSION_DENIED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNKNOWN: Gloo",
    "ABORTED",
    "CANCELLED",
)
# how TensorStore says what the system said
OS_ERROR = re.compile(r"os_error_code='(\d+)'")


class CheckpointError(ValueError):
    """A checkpoint that cannot be used here; the message says which part, and both values."""


class DamagedError(CheckpointError):
    """A checkpoint that is not what was saved."""


class SaveError(OSError):
    """What a run leaves could not be written; what it left before is whole."""

    # EX_IOERR
    exit_code = 74


def can_be_damage(error: BaseException) -> bool:
    """Whether what reading raised is the files' fault."""
    cause = find_cause(error)
    return isinstance(cause, UNREADABLE) and not str(cause).startswith(NO_DAMAGE)


def is_of_disk(error: BaseException) -> bool:
    """Whether what writing raised is what the system refused."""
    cause = find_cause(error)
    return isinstance(cause, OSError) or bool(OS_ERROR.search(str(cause)))


def find_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def flatten_cause(error: BaseException) -> str:
    """One line; of TensorStore's many, what the system said."""
    cause = find_cause(error)
    code = getattr(cause, "errno", None) or OS_ERROR.search(str(cause))
    if code:
        return os.strerror(code if isinstance(code, int) else int(code[1]))
    return " ".join(str(cause).split())[:160] or type(cause).__name__


def is_news(record: logging.LogRecord) -> bool:
    """Orbax logs with its traceback, several times, what it raises afterwards."""
    return not (record.exc_info and (record.name == "asyncio" or "orbax" in record.pathname))
