"""How a command ends: one line on standard error, and a status that says who can fix it.

2    what the user gave: a config, a path, a flag        74    the disk takes no more; what was saved is whole
65   the judge of an evaluation failed the answers planted for it: its figures are no figures
69   another process of the run hangs or is gone         75    told to stop: saved, the same command resumes
1    a check (validate, check_splits, check_truth) has found something
1    anything else, with its traceback                   130   stopped by Ctrl-C
141  nobody reads the output any more, as after `| head`; without a word

Who calls a command from Python finds the line in the SystemExit, too: str(stop), stop.code.
"""

from __future__ import annotations

import errno
import io
import os
import re
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, TypeGuard

from sift_jax.parallel import heartbeat

CHECK_FAILED, DISK, STOPPED, INTERRUPTED = 1, 74, 75, 130
# as a shell says of one that SIGPIPE has ended
UNREAD = 141
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


def report_errors(function: Callable[[], Any], *, is_debug: bool, can_resume: bool = False) -> None:
    """Runs; an error the user can fix becomes one line and exit status 2, or the status that the
    error asks for. `can_resume` tells who stops it that the same command resumes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # whoever follows a log sees a line when it is printed, not when the buffer is full
        sys.stdout.reconfigure(line_buffering=True)
    try:
        function()
    except KeyboardInterrupt:
        _end_interrupted(is_debug=is_debug, can_resume=can_resume)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _is_reader_gone():
            raise SystemExit(UNREAD) from None
        code = _choose_status(error)
        if _is_of_devices(error):
            # so fail devices where another process has gone: if one has, it is named and this does
            # not go on
            heartbeat.await_verdict()
        if code == 2 and not _is_told(error):
            if not heartbeat.is_watching():
                raise
            is_debug, code = True, 1
        if is_debug:
            traceback.print_exc()
        end(
            code,
            _explain_disk(error) if _is_disk(error) else _explain(error),
            is_error=code != STOPPED,
        )
    heartbeat.finish_watch()


def end(code: int, said: str, *, is_error: bool = True) -> NoReturn:
    """Ends the command with one line and a status; the other processes of its run end with it."""
    line = f"error: {said}" if is_error else said
    # in one piece: print writes the end of a line by itself, and a thread that fails meanwhile
    # writes before it
    sys.stderr.write(f"{line}\n")
    if code != STOPPED and heartbeat.is_watching():
        heartbeat.end_process(code, said)
    heartbeat.finish_watch()
    stop = SystemExit(line)
    stop.code = code
    raise stop from None


def _end_interrupted(*, is_debug: bool, can_resume: bool) -> NoReturn:
    if is_debug:
        traceback.print_exc()
    if threading.current_thread() is threading.main_thread():
        # whoever is in a hurry presses it twice: then Python's own farewell is not waited for
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    said = "stopped; the same command resumes from here" if can_resume else "stopped"
    end(INTERRUPTED, said, is_error=False)


def _is_reader_gone() -> bool:
    """Whether nobody reads standard output any more, as after `| head`; what is left goes
    nowhere."""
    try:
        output = sys.stdout.fileno()
    except OSError:
        # what is captured has no file
        return False
    states = select.poll()
    states.register(output, select.POLLOUT)
    if not any(state & (select.POLLERR | select.POLLHUP) for _, state in states.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def _is_told(error: BaseException) -> bool:
    """Whether its words are meant for the user: then a traceback would only hide them."""
    return (
        isinstance(error, (ValueError, OSError, FloatingPointError))
        or hasattr(error, "exit_code")
        or _explain(error) != flatten(error)
    )


def _choose_status(error: BaseException) -> int:
    """2 for what the user can fix in the command; errors that mean something else say so
    themselves."""
    return DISK if _is_disk(error) else getattr(error, "exit_code", 2)


def _is_of_devices(error: BaseException | None) -> bool:
    """Whether XLA raised it, or what it came from."""
    while error is not None:
        if isinstance(error, RuntimeError) or STATUS.match(str(error)):
            return True
        error = error.__cause__
    return False


def _is_disk(error: BaseException) -> TypeGuard[OSError]:
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
        f"the disk takes no more{where} ({error.strerror}); what was saved before is whole: fix "
        "the disk, then run the same command to resume"
    )
