"""Rows from a function of one's own, in a module beside the settings."""

from pathlib import Path

import numpy as np
import pytest

from p2pnet.agent.options import data_options
from p2pnet.config import read_settings
from p2pnet.data.reading import load_data, read_samples
from p2pnet.data.roles import Roles
from p2pnet.errors import DataError

MODULE = """
import numpy as np

def columns():
    return {"b": [1, 2, None, 4], "a": np.array([0.5, 1.5, 2.5, 3.5]), "w": ["u", "v", "u", None], "y": ["s", "t"] * 2}

def dicts():
    return [{"a": k, "ok": k % 2 == 0, "y": 0.5 * k} for k in range(10)]

def array():
    return np.arange(12.0).reshape(4, 3)

def nothing():
    return 7

def broken():
    raise RuntimeError("no such table")

number = 3
"""


@pytest.fixture
def module(tmp_path: Path) -> str:
    name = f"tables_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE, encoding="utf-8")
    return name


def test_columns_have_numbers_text_and_gaps(tmp_path: Path, module: str) -> None:
    samples = read_samples(tmp_path / f"{module}:columns", Roles(categorical=("w",), missing="mean"))
    assert samples.feature_names == ("a", "b")
    np.testing.assert_array_equal(samples.X, [[0.5, 1], [1.5, 2], [2.5, np.nan], [3.5, 4]])
    assert samples.categories[0].codes.tolist() == [0, 1, 0, -1]
    assert samples.classes == ("s", "t")


def test_dicts_and_arrays_are_tables_too(tmp_path: Path, module: str) -> None:
    samples = read_samples(tmp_path / f"{module}:dicts")
    assert (samples.feature_names, samples.task) == (("a", "ok"), "regression")
    assert read_samples(tmp_path / f"{module}:array", Roles(task="regression")).feature_names == ("x1", "x2")


def test_it_is_named_in_the_settings(tmp_path: Path, module: str) -> None:
    (tmp_path / "agent.toml").write_text(f'[data]\nsource = "{module}:dicts"\n')
    settings = read_settings(tmp_path / "agent.toml", environment={})
    train, test, _ = load_data(data_options(settings.data))
    assert (train.n_samples, test.n_samples) == (8, 2)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("{}:missing", "has no function missing"),
        ("{}:number", "has no function number"),
        ("{}:broken", "broken: failed: RuntimeError: no such table"),
        ("{}:nothing", "nothing: the rows: int of shape"),
        ("no_{}:columns", "importing no_.* failed: ModuleNotFoundError"),
    ],
)
def test_what_is_wrong_with_it_is_one_line(tmp_path: Path, module: str, name: str, what: str) -> None:
    with pytest.raises(DataError, match=what):
        read_samples(tmp_path / name.format(module))
