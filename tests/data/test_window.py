"""What is read is what is new enough, and a row that is read is where it would be without the others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2pnet.agent.options import data_options
from p2pnet.config import DataSettings, settings_of
from p2pnet.data.reading import load_data, read_file_samples
from p2pnet.data.samples import Samples
from p2pnet.data.window import Window
from p2pnet.errors import ConfigError, DataError

HEAD = "x,admitted,y"


def rows(times: Sequence[str]) -> list[str]:
    """One row for each time, told apart by x."""
    return [f"{k},{time},{k % 7 + 0.5}" for k, time in enumerate(times)]


def read(path: Path, window: str | None, **data: Any) -> Samples:
    return read_file_samples(data_options(DataSettings(source=path, window=window, target="y", **data)))


def kept(path: Path, window: str | None, **data: Any) -> list[int]:
    """The rows that are read, by their x."""
    samples = read(path, window, **data)
    return [int(x) for x in samples.X[:, samples.feature_names.index("x")]]


def written(directory: Path, lines: Sequence[str], name: str = "samples.csv") -> Path:
    path = directory / name
    path.write_text("\n".join([HEAD, *lines, ""]), encoding="utf-8")
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40), st.integers(1, 60))
def test_a_window_of_rows_is_the_end_of_the_file(tmp_path: Path, n_rows: int, n_kept: int) -> None:
    path = written(tmp_path, rows(["2024-05-01"] * n_rows))
    assert kept(path, f"{n_kept} rows", ignore=("admitted",)) == list(range(n_rows))[-n_kept:]


def test_in_a_directory_the_newest_row_is_the_last_of_the_last_file_by_name(tmp_path: Path) -> None:
    lines = rows(["2024-05-01"] * 6)
    written(tmp_path, lines[4:], "2024-06.csv")
    written(tmp_path, lines[:4], "2024-05.csv")
    assert kept(tmp_path, "3 rows", ignore=("admitted",)) == [3, 4, 5]


def test_rows_by_a_column_are_the_newest_by_it_and_the_column_is_no_input(tmp_path: Path) -> None:
    path = written(tmp_path, rows(["2024-05-09", "2024-05-03", "2024-05-07", "2024-05-01", "2024-05-07"]))
    samples = read(path, "3 rows by admitted")
    assert samples.feature_names == ("x",)
    assert samples.X[:, 0].tolist() == [0, 2, 4]


@pytest.mark.parametrize("window", ["7 days", "7 days by admitted"])
def test_days_end_with_the_newest_row_by_the_column_of_dates(tmp_path: Path, window: str) -> None:
    path = written(tmp_path, rows(["2024-05-01", "2024-05-08 12:00", "2024-05-02", "2024-05-01 12:00"]))
    assert kept(path, window, dates=("admitted",)) == [1, 2]


def test_days_need_one_column_of_dates(tmp_path: Path) -> None:
    path = written(tmp_path, rows(["2024-05-01"] * 3))
    with pytest.raises(DataError, match=r"data\.window is in days, and there is not one column of dates; name it"):
        read(path, "7 days", ignore=("admitted",))


def test_a_time_that_is_none_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, rows(["2024-05-01", "soon"]))
    with pytest.raises(DataError, match=r"column 'admitted': 'soon' in 1 row \(line 3\) is no date; data\.window"):
        read(path, "7 days by admitted")


TODAY = 20_000.0


def window_of_days(length: float, today: float = TODAY) -> Window:
    return Window(length=length, unit="days", clock=lambda: 86_400.0 * today)


def test_a_row_of_the_future_does_not_make_all_others_old() -> None:
    keys = np.array([TODAY - 9, TODAY - 3, TODAY, TODAY + 30_000])
    assert window_of_days(5).newest(keys).tolist() == [False, True, True, True]


def test_a_machine_whose_clock_has_been_lost_goes_by_the_newest_row() -> None:
    keys = np.array([TODAY - 9, TODAY - 3, TODAY])
    assert window_of_days(5, today=0.0).newest(keys).tolist() == [False, True, True]


@given(st.lists(st.floats(0.0, TODAY), min_size=1), st.floats(0.5, TODAY))
def test_the_newest_row_is_always_within_and_none_within_is_older_than_one_without(
    times: list[float], length: float
) -> None:
    keys = np.array(times)
    is_within = window_of_days(length).newest(keys)
    assert is_within[np.argmax(keys)]
    assert keys[is_within].min() > keys[~is_within].max(initial=-np.inf)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(5, 60))
def test_a_row_that_stays_is_held_out_or_trained_on_as_before(tmp_path: Path, n_kept: int) -> None:
    lines = rows(["2024-05-01"] * 60)

    def parts(window: str | None) -> list[set[int]]:
        path = written(tmp_path, lines)
        data = DataSettings(source=path, window=window, target="y", ignore=("admitted",))
        found = load_data(data_options(data, is_growing=True))
        return [set(samples.X[:, 0].astype(int)) for samples in found[:2]]

    within = set(range(60 - n_kept, 60))
    assert parts(f"{n_kept} rows") == [part & within for part in parts(None)]


def test_labels_of_rows_that_are_forgotten_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    path.write_text("x,kind\n1,newt\n2,cat\n3,dog\n4,cat\n", encoding="utf-8")
    samples = read_file_samples(data_options(DataSettings(source=path, window="3 rows")))
    assert samples.classes == ("cat", "dog")
    assert samples.notes[0] == "data.window: the newest 3 of 4 rows are read"


@pytest.mark.parametrize("text", ["0 rows", "30", "rows", "-3 days", "3 weeks", "30 days by", "1.5 days"])
def test_other_texts_are_no_window(text: str) -> None:
    with pytest.raises(ConfigError, match="must be as in 5000 rows, 30 days, or 30 days by admitted"):
        settings_of({"data.source": "samples.csv", "data.window": text}, "flags")
