"""Checkpoints on disk: wherever a save is cut, a whole one is left; and when an agent saves."""

import logging
import stat
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np
import pytest

from p2pnet.agent.checkpoint_files import DRAFT, LATEST, PREVIOUS, REFUSED, CheckpointFiles, DirectoryFiles, FileLayer
from p2pnet.agent.checkpoints import Checkpoints
from p2pnet.errors import CheckpointError
from p2pnet.protocol.core.types import Buffer
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.training.checkpoint import VERSION, Checkpoint, encode_checkpoint, sealed
from p2pnet.training.records import LearnerState

MAX_BYTES = 1 << 20


def snapshot(round_: int, is_converged: bool = False) -> RoundSnapshot:
    return RoundSnapshot(round_, np.full(3, float(round_)), 1.0, is_converged)


def checkpoint(round_: int) -> Checkpoint:
    return Checkpoint(snapshot(round_), LearnerState(), {}, tolerance=4e-3)


class CutError(Exception):
    """The power fails."""


@final
class FailingFiles(FileLayer):
    """A disk of which the power fails after so many steps. What was not synchronised may be lost, or be there in part:
    `keeps` says what of a rename that was not; a draft that is being written is there up to any byte.
    """

    def __init__(self, files: dict[str, bytes], n_steps: int, keeps_renames: bool) -> None:
        self.files = dict(files)
        self._synchronised = dict(files)
        self._n_steps = n_steps
        self._keeps_renames = keeps_renames

    def write_durably(self, name: str, pieces: Iterable[Buffer]) -> None:
        content = b"".join(pieces)
        if self._n_steps < len(content):
            self.files[name] = self._synchronised[name] = content[: self._n_steps]
            self._fail()
        self._n_steps -= len(content)
        self.files[name] = self._synchronised[name] = content

    def rename(self, name: str, new_name: str) -> None:
        self._step()
        if name not in self.files:
            raise FileNotFoundError(name)
        self.files[new_name] = self.files.pop(name)

    def sync_directory(self) -> None:
        self._step()
        self._synchronised = dict(self.files)

    def read(self, name: str, max_bytes: int) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name][:max_bytes]

    def _step(self) -> None:
        if self._n_steps == 0:
            self._fail()
        self._n_steps -= 1

    def _fail(self) -> None:
        if not self._keeps_renames:
            self.files = dict(self._synchronised)
        raise CutError


def states_of_the_disk() -> Iterator[dict[str, bytes]]:
    one, two = encode_checkpoint(checkpoint(1)), encode_checkpoint(checkpoint(2))
    yield {LATEST: two}
    yield {LATEST: two, PREVIOUS: one}
    yield {LATEST: two, PREVIOUS: one, DRAFT: one[:40]}
    yield {PREVIOUS: two}


@pytest.mark.parametrize("keeps_renames", [False, True])
def test_a_save_that_is_cut_at_any_byte_or_step_leaves_a_whole_checkpoint(keeps_renames: bool) -> None:
    n_bytes = len(encode_checkpoint(checkpoint(3)))
    for disk in states_of_the_disk():
        rounds = []
        for n_steps in range(n_bytes + 4):
            files = FailingFiles(disk, n_steps, keeps_renames)
            try:
                CheckpointFiles(files, MAX_BYTES).save(checkpoint(3))
            except CutError:
                pass
            else:
                assert n_steps == n_bytes + 3
            found, problems = CheckpointFiles(files, MAX_BYTES).load()
            assert found is not None
            assert not problems
            rounds.append(found.rounds.round)
        assert set(rounds[:n_bytes]) == {2}
        assert rounds[-1] == 3
        assert rounds == sorted(rounds)


def test_the_last_two_are_kept_for_their_owner_alone(tmp_path: Path) -> None:
    files = CheckpointFiles(DirectoryFiles(tmp_path / "state"), MAX_BYTES)
    for round_ in (1, 2, 3):
        files.save(checkpoint(round_))
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == [LATEST, PREVIOUS]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (tmp_path / "state").iterdir())
    assert (tmp_path / "state" / PREVIOUS).read_bytes() == encode_checkpoint(checkpoint(2))
    found, problems = files.load()
    assert found is not None
    assert (found.rounds.round, problems) == (3, [])


def test_a_damaged_one_is_named_and_the_one_before_is_taken_and_outlives_the_next_save(tmp_path: Path) -> None:
    files = CheckpointFiles(DirectoryFiles(tmp_path), MAX_BYTES)
    files.save(checkpoint(1))
    files.save(checkpoint(2))
    (tmp_path / LATEST).write_bytes((tmp_path / LATEST).read_bytes()[:-1])
    found, problems = files.load()
    assert found is not None
    assert found.rounds.round == 1
    assert problems == ["checkpoint is damaged: its checksum does not fit its content"]
    assert (tmp_path / REFUSED).exists()
    files.save(checkpoint(3))
    assert (tmp_path / PREVIOUS).read_bytes() == encode_checkpoint(checkpoint(1))


def test_one_that_is_refused_is_named_and_the_one_before_is_looked_at(tmp_path: Path) -> None:
    files = CheckpointFiles(DirectoryFiles(tmp_path), MAX_BYTES)
    files.save(checkpoint(1))
    files.save(checkpoint(2))

    def check(found: Checkpoint) -> None:
        if found.rounds.round == 2:
            raise CheckpointError("is of another training")

    found, problems = files.load(check)
    assert found is not None
    assert found.rounds.round == 1
    assert problems == ["checkpoint is of another training"]


def test_no_link_is_followed_and_a_huge_file_is_not_read(tmp_path: Path) -> None:
    files = CheckpointFiles(DirectoryFiles(tmp_path), MAX_BYTES)
    (tmp_path / "elsewhere").write_bytes(encode_checkpoint(checkpoint(1)))
    (tmp_path / LATEST).symlink_to(tmp_path / "elsewhere")
    found, problems = files.load()
    assert found is None
    assert problems == ["checkpoint cannot be read: checkpoint is a symbolic link; remove it"]
    with (tmp_path / LATEST).open("wb") as file:
        file.truncate(1 << 40)
    assert files.load()[0] is None


def test_a_newer_versions_is_named_in_one_line_and_kept_aside(tmp_path: Path) -> None:
    (tmp_path / LATEST).write_bytes(sealed(bytes(8), VERSION + 1))
    found, problems = CheckpointFiles(DirectoryFiles(tmp_path), MAX_BYTES).load()
    assert found is None
    assert problems == ["checkpoint has format 3, and this p2pnet reads up to 2"]
    assert (tmp_path / REFUSED).exists()


@final
class CountingFiles(FileLayer):
    """Counts saves, each of which takes a while; they fail while the disk is full, and wait until it answers."""

    def __init__(self) -> None:
        self.now, self.n_saves, self.is_full, self.takes_s = 0.0, 0, False, 0.0
        self.answers = threading.Event()
        self.answers.set()

    def write_durably(self, name: str, pieces: Iterable[Buffer]) -> None:
        assert self.answers.wait(60.0)
        self.now += self.takes_s
        if self.is_full:
            raise OSError(28, "No space left on device")

    def rename(self, name: str, new_name: str) -> None: ...

    def sync_directory(self) -> None:
        self.n_saves += 1

    def read(self, name: str, max_bytes: int) -> bytes:
        raise FileNotFoundError(name, max_bytes)


def checkpoints_in(files: CountingFiles) -> Checkpoints:
    log = logging.getLogger("test")
    return Checkpoints(CheckpointFiles(files, MAX_BYTES), 10.0, 4e-3, log, clock=lambda: files.now)


@pytest.mark.parametrize(("takes_s", "pause_s"), [(0.01, 10.0), (0.1, 10.0), (0.5, 50.0)])
def test_saves_are_ten_seconds_apart_or_take_a_hundredth_of_the_time(takes_s: float, pause_s: float) -> None:
    files = CountingFiles()
    files.takes_s = takes_s
    checkpoints = checkpoints_in(files)
    due = [checkpoints.is_due]
    files.now = 10.0
    due.append(checkpoints.is_due)
    checkpoints.save(snapshot(1), LearnerState(), {})
    for seconds in (pause_s - 0.001, 0.002):
        files.now += seconds
        due.append(checkpoints.is_due)
    assert due == [False, True, False, True]


def test_nothing_is_saved_while_nothing_changes() -> None:
    files = CountingFiles()
    checkpoints = checkpoints_in(files)
    for state in (None, snapshot(1), snapshot(1), snapshot(2), snapshot(2), snapshot(2, is_converged=True)):
        checkpoints.save(state, LearnerState(), {})
    assert files.n_saves == 3
    checkpoints.save(replace(snapshot(3), params=np.array([np.inf])), LearnerState(), {})
    assert files.n_saves == 3


def test_a_full_disk_is_one_warning_and_saved_on_when_there_is_room(caplog: pytest.LogCaptureFixture) -> None:
    files = CountingFiles()
    checkpoints = checkpoints_in(files)
    files.is_full = True
    for round_ in range(1, 5):
        checkpoints.save(snapshot(round_), LearnerState(), {})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "No space left on device" in caplog.text
    files.is_full = False
    checkpoints.save(snapshot(5), LearnerState(), {})
    assert files.n_saves == 1


def test_what_is_saved_aside_holds_up_nothing_and_comes_one_at_a_time() -> None:
    files = CountingFiles()
    checkpoints = checkpoints_in(files)
    files.now = 10.0
    files.answers.clear()
    for round_ in (1, 2):
        checkpoints.save_aside(snapshot(round_), LearnerState(), {})
        assert checkpoints.is_saving
        assert not checkpoints.is_due
    assert files.n_saves == 0
    files.answers.set()
    checkpoints.save(snapshot(1), LearnerState(), {})
    assert files.n_saves == 1
    checkpoints.save(snapshot(3), LearnerState(), {})
    assert files.n_saves == 2


def test_the_end_does_not_wait_for_ever_for_a_disk_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("p2pnet.agent.checkpoints.END_PATIENCE_S", 0.01)
    files = CountingFiles()
    checkpoints = checkpoints_in(files)
    files.answers.clear()
    checkpoints.save_aside(snapshot(1), LearnerState(), {})
    checkpoints.save(snapshot(2), LearnerState(), {})
    assert "the disk has not taken the last checkpoint" in caplog.text
    files.answers.set()
    checkpoints.save(None, LearnerState(), {})
    assert files.n_saves == 1
