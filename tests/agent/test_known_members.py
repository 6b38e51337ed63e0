"""The members that an agent has known are seeds of its next start."""

import logging
from pathlib import Path

import pytest

from p2pnet.agent.known_members import MAX_KEPT, PAUSE_S, KnownMembers

LOG = logging.getLogger("p2pnet.test")
ANN, BOB = {"ann": "tcp://192.0.2.1:7070"}, {"bob": "tcp://[2001:db8::1]:7071"}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(tmp_path: Path, clock: Clock) -> KnownMembers:
    return KnownMembers(tmp_path, LOG, clock)


def later(tmp_path: Path) -> KnownMembers:
    return KnownMembers(tmp_path, LOG, Clock())


def test_what_is_kept_is_read_at_the_next_start(known: KnownMembers, tmp_path: Path) -> None:
    assert known.read() == {}
    known.keep(ANN | BOB)
    assert later(tmp_path).read() == ANN | BOB
    assert (tmp_path / "members").stat().st_mode & 0o777 == 0o600


def test_one_that_is_alone_keeps_those_whom_it_knew_and_others_forget_who_has_gone(
    known: KnownMembers, tmp_path: Path
) -> None:
    known.keep(ANN)
    known.keep({})
    assert later(tmp_path).read() == ANN
    known.keep(BOB)
    assert later(tmp_path).read() == BOB


def test_an_agent_looks_at_once_while_it_is_alone_and_from_time_to_time_after_that(
    known: KnownMembers, clock: Clock
) -> None:
    is_due = []
    for members, seconds in (({}, 0.0), (ANN, 0.0), (ANN, PAUSE_S)):
        known.keep(members)
        clock.now += seconds
        is_due.append(known.is_due)
    assert is_due == [True, False, True]


def test_nothing_is_written_while_nothing_changes(tmp_path: Path) -> None:
    later(tmp_path).keep(ANN)
    known = later(tmp_path)
    known.read()
    (tmp_path / "members").unlink()
    known.keep(ANN)
    assert not (tmp_path / "members").exists()
    known.keep(BOB)
    assert (tmp_path / "members").exists()


def test_a_large_network_is_kept_in_part(known: KnownMembers, tmp_path: Path) -> None:
    known.keep({f"{k:04}": f"tcp://192.0.2.1:{k + 1}" for k in range(1000)})
    assert len(later(tmp_path).read()) == MAX_KEPT


@pytest.mark.parametrize(
    "damage", [b"", b"\xff", b"[]", b"{", b"7", b'{"ann": 1}', b'{"ann": "nowhere"}', b"[" * 50_000, b"{}" * 50_000]
)
def test_a_damaged_file_is_told_and_made_anew(
    damage: bytes, known: KnownMembers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "members").write_bytes(damage)
    assert known.read() == {}
    assert f"{tmp_path / 'members'}: cannot be read, and is made anew" in caplog.text
    known.keep(ANN)
    assert later(tmp_path).read() == ANN


def test_a_disk_that_takes_nothing_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_bytes(b"a file where the directory should be")
    known = KnownMembers(tmp_path / "state", LOG, Clock())
    for _ in range(3):
        known.keep(ANN)
    assert caplog.text.count("cannot be written") == 1
