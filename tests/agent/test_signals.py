"""What signals tell an agent to do, with and without a terminal."""

import signal
from collections.abc import Iterator

import pytest

from p2pnet.agent.signals import Signals
from p2pnet.protocol.core.events import AwayRequested, LeaveRequested


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """SIGHUP as a process has it that was not started under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def signals(*, has_terminal: bool) -> tuple[Signals, list[None]]:
    woken: list[None] = []
    return Signals(lambda: woken.append(None), lambda: None, lambda: has_terminal), woken


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_and_sigint_request_a_leave(number: signal.Signals) -> None:
    told, woken = signals(has_terminal=True)
    with told.handled():
        signal.raise_signal(number)
    assert told.farewell == LeaveRequested()
    assert woken


def test_the_hangup_of_a_terminal_requests_a_temporary_leave() -> None:
    told, woken = signals(has_terminal=True)
    with told.handled():
        signal.raise_signal(signal.SIGHUP)
    assert told.farewell == AwayRequested()
    assert not told.take_reload()
    assert woken


def test_a_hangup_without_a_terminal_asks_once_for_the_settings_to_be_read_anew() -> None:
    told, woken = signals(has_terminal=False)
    with told.handled():
        signal.raise_signal(signal.SIGHUP)
    assert told.farewell is None
    assert woken
    assert told.take_reload()
    assert not told.take_reload()


def test_under_nohup_hangups_stay_ignored_and_the_handlers_before_are_put_back() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = signal.getsignal(signal.SIGTERM)
    told, woken = signals(has_terminal=True)
    with told.handled():
        signal.raise_signal(signal.SIGHUP)
    assert not woken
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_agent_that_keeps_running_is_told_to_go_for_a_while_only(number: signal.Signals) -> None:
    told = Signals(lambda: None, lambda: None, lambda: True, is_service=True)
    with told.handled():
        signal.raise_signal(number)
    assert told.farewell == AwayRequested()
