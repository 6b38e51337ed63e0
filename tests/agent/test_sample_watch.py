"""A change of files is told once they have looked the same twice."""

from pathlib import Path

import pytest

from p2pnet.agent.sample_watch import SampleWatch

INTERVAL_S = 5.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def looks(watch: SampleWatch, clock: Clock, n: int) -> list[bool]:
    """What the next looks tell, each when it is due."""
    told = []
    for _ in range(n):
        clock.now = watch.next_look_at
        told.append(watch.has_changed())
    return told


def test_rows_that_are_appended_are_told_once_the_file_is_whole(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "samples.csv"
    path.write_text("x,y\n1,2\n", encoding="utf-8")
    watch = SampleWatch([path], INTERVAL_S, clock)
    assert looks(watch, clock, 3) == [False] * 3
    path.write_text("x,y\n1,2\n3,", encoding="utf-8")
    assert looks(watch, clock, 1) == [False]
    path.write_text("x,y\n1,2\n3,4\n", encoding="utf-8")
    assert looks(watch, clock, 4) == [False, True, False, False]


def test_it_is_not_looked_at_before_it_is_time(tmp_path: Path, clock: Clock) -> None:
    watch = SampleWatch([tmp_path], INTERVAL_S, clock)
    (tmp_path / "more.csv").touch()
    assert not watch.has_changed()
    assert watch.next_look_at == INTERVAL_S
    assert looks(watch, clock, 3) == [False, True, False]


def test_a_directory_grows_and_a_file_comes_that_was_not_there(tmp_path: Path, clock: Clock) -> None:
    missing = tmp_path / "later.csv"
    watch = SampleWatch([missing], INTERVAL_S, clock)
    assert looks(watch, clock, 1) == [False]
    missing.touch()
    assert looks(watch, clock, 2) == [False, True]


def test_what_is_asked_for_is_told_at_once_and_once(tmp_path: Path, clock: Clock) -> None:
    watch = SampleWatch([tmp_path / "samples.csv"], INTERVAL_S, clock)
    clock.now = INTERVAL_S / 2
    watch.ask()
    assert watch.has_changed()
    assert looks(watch, clock, 2) == [False] * 2
