"""Files of the state directory are the agent's own: no link is followed, no FIFO waited for, no other reads them."""

import os
import stat
from pathlib import Path

import pytest

from p2pnet.agent.atomic_files import write_atomically
from p2pnet.agent.history import History, has_rows, read_history
from p2pnet.agent.private_files import create_anew, open_private, read_private
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.errors import ConfigError
from p2pnet.protocol.core.counts import LEAD_S, latest_incarnation
from p2pnet.training.records import RoundRecord

CLOCK_S = 1_800_000_000.0
PRECIOUS = "not of this agent"


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "state")


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file that links of the state directory lead to."""
    path = tmp_path / "precious"
    path.write_text(PRECIOUS)
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_directory_and_its_files_are_open_to_nobody_else(state: StateDirectory) -> None:
    old_mask = os.umask(0)
    try:
        state.acquire()
        state.next_incarnation(CLOCK_S)
        state.begin_history()
        state.history.append(RoundRecord(0, 1.0, 0.5, 0.5, 0.5, 1.0, 10))
    finally:
        os.umask(old_mask)
        state.release()
    assert mode(state.path) == 0o700
    assert {path.name: oct(mode(path)) for path in state.path.iterdir()} == dict.fromkeys(
        ("lock", "incarnation", "history.csv"), "0o600"
    )


def test_a_lock_that_is_a_link_is_refused_in_one_line_and_what_it_leads_to_is_kept(
    state: StateDirectory, precious: Path
) -> None:
    state.path.mkdir()
    (state.path / "lock").symlink_to(precious)
    with pytest.raises(ConfigError, match="lock is a symbolic link; remove it") as caught:
        state.acquire()
    assert "\n" not in str(caught.value)
    assert not state.is_held
    assert precious.read_text() == PRECIOUS


def test_links_in_place_of_drafts_and_of_the_history_are_replaced_and_not_followed(
    state: StateDirectory, precious: Path
) -> None:
    state.path.mkdir()
    for name in (".incarnation.draft", "incarnation", "history.csv"):
        (state.path / name).symlink_to(precious)
    state.acquire()
    incarnation = state.next_incarnation(CLOCK_S)
    state.begin_history()
    state.history.append(RoundRecord(0, 1.0, 0.5, 0.5, 0.5, 1.0, 10))
    state.release()
    assert precious.read_text() == PRECIOUS
    assert state.incarnation == incarnation == CLOCK_S
    assert len(read_history(state.path / "history.csv")) == 1
    assert not any(path.is_symlink() for path in state.path.iterdir())


def test_a_history_that_becomes_a_link_meanwhile_is_not_followed(tmp_path: Path, precious: Path) -> None:
    history = History(tmp_path / "history.csv")
    history.begin()
    (tmp_path / "history.csv").unlink()
    (tmp_path / "history.csv").symlink_to(precious)
    with pytest.raises(Exception, match="is a symbolic link; remove it"):
        history.append(RoundRecord(0, 1.0, 0.5, 0.5, 0.5, 1.0, 10))
    assert precious.read_text() == PRECIOUS


def test_a_fifo_is_waited_for_nowhere(state: StateDirectory) -> None:
    state.path.mkdir()
    for name in ("incarnation", "history.csv"):
        os.mkfifo(state.path / name)
    assert state.incarnation == 0
    assert not has_rows(state.path / "history.csv")
    (state.path / "lock").unlink(missing_ok=True)
    os.mkfifo(state.path / "lock")
    with pytest.raises(ConfigError, match="lock is no regular file; remove it"):
        state.acquire()


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_private(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="holds more than 4 bytes"):
        read_private(tmp_path / "file", 4)


def test_no_descriptor_is_left_open_by_a_refusal(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    n_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(10):
        with pytest.raises(OSError, match="no regular file"):
            open_private(tmp_path / "fifo", os.O_RDONLY)
    assert len(os.listdir("/proc/self/fd")) == n_before  # noqa: PTH208


def test_a_file_made_anew_is_not_the_one_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(PRECIOUS)
    (tmp_path / "other name").hardlink_to(tmp_path / "file")
    os.close(create_anew(tmp_path / "file"))
    assert (tmp_path / "other name").read_text() == PRECIOUS
    assert (tmp_path / "file").read_text() == ""


def test_a_report_may_be_read_by_all_if_it_is_asked_for(tmp_path: Path) -> None:
    old_mask = os.umask(0o022)
    try:
        write_atomically(tmp_path / "summary.json", b"{}", mode=0o666)
    finally:
        os.umask(old_mask)
    assert mode(tmp_path / "summary.json") == 0o644


@pytest.mark.parametrize("last", [2**62 - 2, 2**62, 10**30, int(CLOCK_S) + LEAD_S + 1, -1])
def test_an_incarnation_that_cannot_be_is_told_and_made_anew(state: StateDirectory, last: int) -> None:
    state.acquire()
    (state.path / "incarnation").write_text(str(last))
    damage = state.damage(CLOCK_S)
    assert damage is not None
    assert str(last) in damage
    assert state.next_incarnation(CLOCK_S) == CLOCK_S
    assert state.damage(CLOCK_S) is None
    state.release()


def test_an_incarnation_of_a_clock_that_was_ahead_for_a_while_is_kept(state: StateDirectory) -> None:
    state.acquire()
    ahead = state.next_incarnation(CLOCK_S + 90 * 86_400)
    assert state.damage(CLOCK_S) is None
    assert state.next_incarnation(CLOCK_S) == ahead + 4
    state.release()


def test_a_clock_that_begins_in_1970_makes_no_incarnation_implausible(state: StateDirectory) -> None:
    state.acquire()
    last = state.next_incarnation(CLOCK_S)
    assert state.damage(0.0) is None
    assert state.next_incarnation(0.0) == last + 4
    assert latest_incarnation(0.0) > CLOCK_S
    state.release()
