"""What is kept off the terminal while libraries are loaded, and what is not."""

import contextlib
import os
import signal
import threading

import pytest

from sift_jax.quiet import keep_interrupt


def test_an_interrupt_that_a_library_loses_is_raised_in_the_end():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), keep_interrupt():
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            signal.pthread_kill(threading.get_ident(), 0)
        lasted = True
    assert lasted and signal.getsignal(signal.SIGINT) is before


def test_without_one_nothing_is_raised():
    with keep_interrupt():
        pass
