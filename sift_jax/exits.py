"""How a command ends: one line on standard error, and a status that says who can mend it.

2    what the user gave: a config, a path, a flag        74    the disk takes no more; what was saved is whole
65   the judge of an evaluation failed the answers planted for it: its figures are no figures
69   another process of the run hangs or is gone         75    told to stop: saved, the same command goes on
1    anything else, with its traceback
"""

from __future__ import annotations

import errno
import io
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

from sift_jax.parallel import heartbeat

DISK, STOPPED = 74, 75
# errors of XLA's begin so, whatever their Python type
STATUS = re.compile(
    r"(UNKNOWN|INTERNAL|UNAVAILABLE|ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION): "
)


def flatten(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _explain(error: BaseException) -> str:
    """What is printed of an error: of a device that is full, what there is to do about it."""
    text = flatten(error)
    if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in text:
        return (
            f"a device's memory is full ({text[:160]}); raise MICROBATCHES, lower BATCH_ROWS "
            "(EvaluationConfig.rows), or spread parameters by MeshConfig.fsdp; --dry_run says "
            "what a step takes"
        )
    return text


def report_errors(function: Callable[[], Any], *, is_debug: bool) -> None:
    """Runs; an error the user can mend becomes one line and exit status 2, or the status that the
    error asks for."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # whoever follows a log sees a line when it is printed, not when the buffer is full
        sys.stdout.reconfigure(line_buffering=True)
    try:
        function()
    except (Exception, KeyboardInterrupt) as error:
        code = _choose_status(error)
        if _is_of_devices(error):
            # so fail devices where another process has gone: if one has, it is named and this does
            # not go on
            heartbeat.await_verdict()
        is_told = isinstance(error, (ValueError, OSError, FloatingPointError)) or _explain(
            error
        ) != flatten(error)
        if is_debug or (code == 2 and not is_told):
            if not heartbeat.is_watching():
                raise
            traceback.print_exc()
            code = 1 if code == 2 else code
        said = _explain_disk(error) if _is_disk(error) else _explain(error)
        # in one piece: print writes the end of a line by itself, and a thread that fails meanwhile
        # writes before it
        sys.stderr.write(f"{'' if code == STOPPED else 'error: '}{said}\n")
        if code != STOPPED:
            heartbeat.end_process(code, said)
        heartbeat.finish_watch()
        raise SystemExit(code) from None
    heartbeat.finish_watch()


def _choose_status(error: BaseException) -> int:
    """2 for what the user can mend in the command; errors that mean something else say so
    themselves."""
    return DISK if _is_disk(error) else getattr(error, "exit_code", 2)


def _is_of_devices(error: BaseException | None) -> bool:
    """Whether XLA raised it, or what it came from."""
    while error is not None:
        if isinstance(error, RuntimeError) or STATUS.match(str(error)):
            return True
        error = error.__cause__
    return False


def _is_disk(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EFBIG,
    )


def _explain_disk(error: OSError) -> str:
    """The system names a file only where opening it failed, and never what to do."""
    where = f" for {error.filename}" if error.filename else ""
    return (
        f"the disk takes no more{where} ({error.strerror}); what was saved before is whole: mend "
        "the disk, then the same command goes on"
    )
