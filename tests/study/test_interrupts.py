from __future__ import annotations

import os
import signal
import threading

import pytest

from bebertlab.study.interrupts import Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_signal_raises_at_once(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts():
        os.kill(os.getpid(), number)


def test_a_protected_block_ends_before_the_interrupt() -> None:
    done = []

    def work(interrupts: Interrupts) -> None:
        with interrupts.shielded():
            with interrupts.shielded():
                os.kill(os.getpid(), signal.SIGINT)
            done.append("inside")
        done.append("after")

    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        work(interrupts)
    assert done == ["inside"]


def test_a_check_interrupts_a_protected_block() -> None:
    done = []

    def work(interrupts: Interrupts) -> None:
        with interrupts.shielded():
            interrupts.check()
            os.kill(os.getpid(), signal.SIGINT)
            done.append("before")
            interrupts.check()
            done.append("after")

    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            work(interrupts)
        interrupts.check()  # notified once
    assert done == ["before"]


def test_a_second_signal_does_not_wait() -> None:
    done = []

    def work(interrupts: Interrupts) -> None:
        with interrupts.shielded():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("first")
            os.kill(os.getpid(), signal.SIGINT)
            done.append("second")

    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        work(interrupts)
    assert done == ["first"]


def test_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_signals_are_taken_back_from_a_library() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        _lose_and_renew(interrupts)


def _lose_and_renew(interrupts: Interrupts) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    interrupts.renew()
    os.kill(os.getpid(), signal.SIGTERM)


def test_handlers_are_not_changed_outside_the_main_thread() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def inside() -> None:
        with Interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]
