"""Processes that a command starts have nothing to say to Ctrl-C."""

import multiprocessing
import os
import signal

from data_prep.engine.interrupts import end_silently, hold_interrupts


def tell_mask(pipe):
    pipe.send(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    end_silently()
    # not reached: the signal has waited
    os._exit(0)


def start(target, *arguments):
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    with hold_interrupts():
        process.start()
    return process


def test_a_process_hears_nothing_while_it_starts():
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = start(tell_mask, theirs)
    assert ours.recv()
    process.join()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_an_interrupt_ends_it_without_a_word(capfd):
    process = start(interrupt)
    process.join()
    assert process.exitcode == -signal.SIGINT and capfd.readouterr() == ("", "")
