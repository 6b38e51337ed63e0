"""What a run keeps where the disk is full, or where its state directory is removed: as much as there is room for."""

import contextlib
import logging
import resource
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from p2pnet.agent.history import History, read_history
from p2pnet.agent.logs import LogOptions, open_log
from p2pnet.agent.run_recorder import RunRecorder
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.data.scaling import no_scaling
from p2pnet.errors import TrainingError
from p2pnet.training.model_file import ModelDescription, ModelFile, Network
from p2pnet.training.records import RoundRecord

STARTED_AT_S = 1e9
PARAMS = np.arange(3.0)
MODEL = ModelFile(
    params=PARAMS,
    description=ModelDescription(
        network=Network(text="linear 2-1", sizes=(2, 1), activations=("identity",)),
        task="regression",
        classes=(),
        feature_names=("a", "b"),
        target_name="y",
        scaling=no_scaling(2),
        loss="half-squared",
    ),
)


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    state = StateDirectory(tmp_path / "state")
    state.path.mkdir()
    return state


@pytest.fixture
def records(state: StateDirectory) -> RunRecorder:
    """Of a training that has begun."""
    records = RunRecorder(state, logging.getLogger("test"), lambda: STARTED_AT_S)
    records.keep(row(0))
    records.begin()
    return records


def row(round_: int) -> RoundRecord:
    return RoundRecord(round_, STARTED_AT_S, 0.5, 0.25, 0.125, 1.0, 1000)


def rounds(state: StateDirectory) -> list[int]:
    return [record.round for record in read_history(state.path / "history.csv")]


@contextlib.contextmanager
def files_no_longer_than(n_bytes: int) -> Iterator[None]:
    """Like a full disk, for this process."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_rows_that_there_is_no_room_for_are_missing_as_a_whole_and_warned_of_once(
    state: StateDirectory, records: RunRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    size_bytes = (state.path / "history.csv").stat().st_size
    for room_bytes in (0, 1, 20):
        with files_no_longer_than(size_bytes + room_bytes):
            records.keep(row(1))
        assert (state.path / "history.csv").stat().st_size == size_bytes
    records.keep(row(2))
    assert rounds(state) == [0, 2]
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert f"{state.path / 'history.csv'}: cannot be written: File too large" in warnings[0]
    assert "training goes on" in warnings[0]


def test_the_model_is_saved_though_no_row_of_history_could_be(state: StateDirectory) -> None:
    records = RunRecorder(state, logging.getLogger("test"), lambda: STARTED_AT_S)
    (state.path / "history.csv").unlink()
    (state.path / "history.csv").mkdir()
    records.keep(row(0))
    records.begin()
    records.save_model(MODEL)
    np.testing.assert_array_equal(state.load_params(), PARAMS)


def test_a_model_that_there_is_no_room_for_can_be_tried_again_and_leaves_nothing_behind(
    state: StateDirectory, records: RunRecorder
) -> None:
    before = sorted(state.path.iterdir())
    with files_no_longer_than(100), pytest.raises(TrainingError, match=r"model\.npz: cannot be written"):
        records.save_model(MODEL)
    assert sorted(state.path.iterdir()) == before
    records.save_model(MODEL)
    np.testing.assert_array_equal(state.load_params(), PARAMS)


def test_a_model_is_saved_anew_with_the_metrics_and_parameters_of_the_network(
    state: StateDirectory, records: RunRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    found = {"test": {"accuracy": 0.75, "recall of ant": 0.5}}
    with caplog.at_level(logging.INFO, "test"):
        for model in (MODEL, MODEL, replace(MODEL, params=PARAMS + 1.0, network_metrics=found)):
            records.save_model(model)
    assert [line for line in caplog.messages if "model is in" in line] == caplog.messages[:1]
    assert caplog.messages[1:] == ["on the rows of all agents for test: accuracy 0.7500"]
    np.testing.assert_array_equal(state.load_params(), PARAMS + 1.0)
    records.save_model(replace(MODEL, params=PARAMS + 2.0, network_metrics=found))
    np.testing.assert_array_equal(state.load_params(), PARAMS + 2.0)


def test_a_state_directory_that_is_removed_is_made_again(state: StateDirectory, records: RunRecorder) -> None:
    shutil.rmtree(state.path)
    records.keep(row(1))
    assert rounds(state) == [1]
    shutil.rmtree(state.path)
    records.save_model(MODEL)
    np.testing.assert_array_equal(state.load_params(), PARAMS)


def test_a_log_on_a_full_disk_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log = open_log(LogOptions(agent="ann", level="info", file=Path("/dev/full"), format="text"))
    for _ in range(3000):
        log.info("a line")
    captured = capsys.readouterr()
    assert captured.err == (
        "p2pnet: log.file /dev/full: cannot be written: No space left on device; "
        "lines are missing there until there is room\n"
    )
    for handler in log.handlers:
        with contextlib.suppress(OSError):
            handler.close()


def test_the_history_of_a_run_that_is_resumed_goes_on(state: StateDirectory, records: RunRecorder) -> None:
    records.keep(row(1))
    resumed = RunRecorder(state, logging.getLogger("test"), lambda: STARTED_AT_S, is_resumed=True)
    resumed.keep(row(2))
    assert rounds(state) == [0, 1, 2]
    RunRecorder(state, logging.getLogger("test"), lambda: STARTED_AT_S)
    assert rounds(state) == []
    assert len(read_history(state.path / "history.previous.csv")) == 3


def test_a_history_that_has_grown_too_large_loses_every_second_row(state: StateDirectory) -> None:
    history = History(state.path / "history.csv", max_bytes=500)
    history.begin()
    n_rounds = 200
    for round_ in range(n_rounds):
        history.append(row(round_))
    kept = rounds(state)
    assert (state.path / "history.csv").stat().st_size < 600
    assert kept == sorted(set(kept))
    assert kept[-1] == n_rounds - 1
    assert kept[0] == 0


def test_a_log_file_that_is_renamed_is_there_again_with_the_next_line(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    log = open_log(LogOptions(agent="a", level="info", file=path, format="text"))
    log.info("before")
    path.rename(tmp_path / "agent.log.1")
    log.info("after")
    assert path.read_text().endswith("after\n")
    assert "before" not in path.read_text()
    for handler in log.handlers:
        handler.close()


def test_on_a_disk_that_takes_nothing_a_run_begins_all_the_same(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state.acquire()
    before = state.next_incarnation(STARTED_AT_S)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("p2pnet.agent.atomic_files.write_durably", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    assert state.next_incarnation(STARTED_AT_S) > before
    RunRecorder(state, logging.getLogger("test"), lambda: STARTED_AT_S)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Read-only file system" in caplog.text
    state.release()


def test_where_the_model_is_and_what_it_is_worth_is_said_once_an_epoch(
    records: RunRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for epoch, factor in ((0, 1.0), (0, 2.0), (1, 3.0), (1, 4.0)):
        provenance = replace(MODEL.provenance, epoch=epoch)
        records.save_model(replace(MODEL, params=factor * PARAMS, metrics={"R²": factor / 4}, provenance=provenance))
    said = [record.message for record in caplog.records]
    assert [text.rpartition("test samples ")[2] for text in said if "the model is in" in text] == [
        "R² 0.2500",
        "R² 0.7500",
    ]


def test_rows_of_rounds_that_are_gone_through_again_are_dropped(state: StateDirectory) -> None:
    log = logging.getLogger("resumed")
    before = RunRecorder(state, log, lambda: STARTED_AT_S)
    before.begin()
    for round_ in range(1, 8):
        before.keep(row(round_))
    resumed = RunRecorder(state, log, lambda: STARTED_AT_S, is_resumed=True)
    for round_ in (5, 6):
        resumed.keep(row(round_))
    assert [record.round for record in read_history(state.path / "history.csv")] == [1, 2, 3, 4, 5, 6]
