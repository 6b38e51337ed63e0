"""A row's part is a function of what stands in it, of its time, or of a column."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.agent.options import data_options, training_options
from p2pnet.config import DataSettings, settings_of
from p2pnet.data.reading import load_data
from p2pnet.data.samples import Samples
from p2pnet.data.splitting import Parts, Split, row_hashes
from p2pnet.errors import ConfigError, DataError
from p2pnet.training.training import summarize

FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def parts_of(directory: Path, text: str, split: dict[str, Any], **data: Any) -> Parts:
    (directory / "table.csv").write_text(text, encoding="utf-8")
    return load_data(
        data_options(DataSettings.model_validate({"source": directory / "table.csv", "split": split, **data}))
    )


def table(n_rows: int, names: str = "a,ward,y") -> list[str]:
    rng = np.random.default_rng(3)
    return [names, *(f"{rng.standard_normal()},{'uvw'[k % 3]},{'no' if k % 4 else 'yes'}" for k in range(n_rows))]


def rows_of(samples: Samples | None) -> set[float]:
    assert samples is not None
    return set(samples.X[:, 0].tolist())


def test_fractions_hold_up_to_chance_and_each_row_is_of_one_part(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, "\n".join(table(4000)), FRACTIONS, categorical=("ward",))
    assert parts.validation is not None
    counts = [parts.train.n_samples, parts.validation.n_samples, parts.test.n_samples]
    np.testing.assert_allclose(np.array(counts) / 4000, [0.7, 0.1, 0.2], atol=0.02)
    assert len(rows_of(parts.train) | rows_of(parts.validation) | rows_of(parts.test)) == sum(counts) == 4000


def test_a_row_stays_in_its_part_wherever_it_stands(tmp_path: Path) -> None:
    head, *rows = table(300)
    before = parts_of(tmp_path, "\n".join([head, *rows]), FRACTIONS, categorical=("ward",))
    # Other rows beside it, in another order, with the columns in another order, and labels and levels of their own.
    more = [f"{row.split(',')[1]},{row.split(',')[2]},{row.split(',')[0]}" for row in rows[::-1]]
    text = "\n".join(["ward,y,a", "zoo,maybe,7.5", *more])
    after = parts_of(tmp_path, text, FRACTIONS, categorical=("ward",), target="y")
    for one, other in zip(before, after, strict=True):
        assert rows_of(one) == rows_of(other) - {7.5}


def test_rows_that_stand_twice_are_of_one_part_and_another_seed_draws_anew(tmp_path: Path) -> None:
    head, *rows = table(200)
    parts = parts_of(tmp_path, "\n".join([head, *rows, *rows]), FRACTIONS, categorical=("ward",))
    assert not rows_of(parts.train) & (rows_of(parts.test) | rows_of(parts.validation))
    other = parts_of(tmp_path, "\n".join([head, *rows]), FRACTIONS, categorical=("ward",), seed=1)
    assert rows_of(other.test) != rows_of(parts.test)


@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=8), st.integers(0, 5))
def test_a_hash_is_of_the_row_alone(values: list[float], seed: int) -> None:
    X = np.array([values, values, [*values[:-1], 12345.5], [-value if value == 0 else value for value in values]])
    samples = Samples(X, np.array([[1.0], [2.0], [1.0], [1.0]]), "regression", (), tuple(map(str, values)), "y")
    first, second, third, zeros = row_hashes(samples, seed)
    assert first == zeros
    assert first != second
    assert first == third or values[-1] != 12345.5
    assert row_hashes(samples.take(slice(1)), seed)[0] == first


def test_by_time_the_newest_rows_are_the_tests_and_those_of_one_day_stay_together(tmp_path: Path) -> None:
    days = [f"2025-01-{day:02}" for day in range(1, 31)]
    lines = [f"{k}.5,{day},{k}" for k, day in enumerate([*days, "2025-01-24"])]
    split = {"time": "day", "validation": 0.2, "test": 0.2}
    parts = parts_of(tmp_path, "a,day,y\n" + "\n".join(lines), split)
    assert parts.train.feature_names == ("a",)
    assert rows_of(parts.test) == {k + 0.5 for k in range(24, 30)}
    assert rows_of(parts.validation) == {k + 0.5 for k in range(19, 24)} | {30.5}
    with_dates = parts_of(tmp_path, "a,day,y\n" + "\n".join(lines), split, dates=("day",))
    assert with_dates.train.n_features == 8


def test_by_a_column_that_says_it(tmp_path: Path) -> None:
    text = "a,part,y\n1,train,2.5\n2, Test,3.5\n3,validation,4.5\n4,TRAIN,1.5\n"
    parts = parts_of(tmp_path, text, {"column": "part"})
    assert [rows_of(part) for part in (parts.train, parts.validation, parts.test)] == [{1, 4}, {3}, {2}]


@pytest.mark.parametrize(
    ("text", "split", "what"),
    [
        ("a,part,y\n1,train,2.5\n2,holdout,3.5\n", {"column": "part"}, "'holdout' in 1 row (line 3) is neither train,"),
        ("a,day,y\n1,soon,2.5\n", {"time": "day", "test": 0.5}, "'soon' in 1 row (line 2) is neither date nor number"),
        ("a,y\n1,2.5\n", {"time": "day", "test": 0.5}, "no column 'day', which data.split names"),
        ("a,part,y\n1,test,2.5\n", {"column": "part"}, "split leaves none of 1 rows to train on"),
    ],
)
def test_what_cannot_be_split_is_named(tmp_path: Path, text: str, split: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError) as caught:
        parts_of(tmp_path, text, split)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("split", "what"),
    [
        ({"train": 0.7, "validation": 0.1, "test": 0.1}, "must be 1 together, and are 0.9"),
        ({"train": 0.7}, "validation and test must be more than 0"),
        ({"column": "part", "test": 0.2}, "column says all of a split"),
        ({"tset": 0.2}, "data.split.tset: no such setting; did you mean data.split.test?"),
    ],
)
def test_a_split_that_cannot_be_is_refused(split: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what.replace("?", "[?]")):
        settings_of({"data.source": "table.csv", "data.split": split}, "agent.toml")


def test_what_to_test_on_is_said_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.split and data\.test_source both say"):
        parts_of(tmp_path, "a,y\n1,2.5\n", FRACTIONS, test_source=tmp_path / "test.csv")


def test_only_training_rows_are_counted_but_all_labels_and_levels_are_told(tmp_path: Path) -> None:
    rows = ["0,train,u,no"] * 12 + ["1,train,u,yes"] * 12 + ["9,test,v,maybe"] * 12
    text = "a,part,w,y\n" + "\n".join(rows)
    parts = parts_of(tmp_path, text, {"column": "part"}, categorical=("w",))
    settings = settings_of({"data.source": "t.csv", "data.split": {"column": "part"}}, "agent.toml")
    summary = summarize(training_options(settings, "classification"), *parts)
    assert summary is not None
    assert (summary.n_samples, summary.mean.tolist()) == (24, [0.5])
    assert {"maybe", "no", "yes"} < {*summary.labels}
    assert len(summary.labels) == 5


def test_all_agents_must_split_alike() -> None:
    def agreed(**data: Any) -> dict[str, str]:
        settings = settings_of({f"data.{name}": value for name, value in data.items()} | {"data.source": "t.csv"}, "")
        return dict(training_options(settings, "regression").agreed)

    assert "split" not in agreed()
    assert agreed(split=FRACTIONS)["split"] == "validation 0.1, test 0.2, by content, seed 0"
    assert str(Split(time="day", test=0.5)) == "validation 0, test 0.5, newest day last"
