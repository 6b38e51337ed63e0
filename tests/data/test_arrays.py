"""Samples of any shape: from NPZ files or a function, through splits and scaling, and back into a file."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from p2pnet.data.reading import DataOptions, load_data, read_samples, write_npz
from p2pnet.data.roles import Roles
from p2pnet.data.scaling import moments, scaling_by
from p2pnet.errors import DataError

X = np.random.default_rng(0).standard_normal((40, 3, 2, 4)).astype(np.float32)
Y = np.array(["a", "b"])[np.arange(40) % 2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "samples.npz", X=X, y=Y)
    return tmp_path / "samples.npz"


def test_samples_keep_their_shape_and_their_numbers_are_columns_without_names(file: Path) -> None:
    samples = read_samples(file)
    assert samples.shape == (3, 2, 4)
    assert samples.feature_names == tuple(f"x{k + 1}" for k in range(24))
    np.testing.assert_array_equal(samples.X, X.reshape(40, 24))
    assert samples.target_name == "y"


def test_the_shape_comes_through_the_split_and_the_scaling(file: Path) -> None:
    train, test, _ = load_data(DataOptions(source=file))
    assert train.shape == test.shape == (3, 2, 4)
    assert scaling_by(*moments(train, is_target_scaled=False), n_features=24).apply(train).shape == (3, 2, 4)


def test_what_is_written_is_read_in_the_same_shape(file: Path, tmp_path: Path) -> None:
    samples = read_samples(file)
    write_npz(samples, tmp_path / "again.npz")
    again = read_samples(tmp_path / "again.npz")
    assert again.shape == samples.shape
    np.testing.assert_array_equal(again.X, samples.X)


def test_columns_that_are_left_out_leave_no_shape(file: Path) -> None:
    samples = read_samples(file, Roles(ignore=("x7",)))
    assert (samples.shape, samples.n_features) == ((), 23)


def test_a_function_returns_such_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("users_samples")
    answers: dict[str, Any] = {"X": X, "y": Y}
    module.make = lambda: answers  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "users_samples", module)
    source = Path("users_samples:make")
    samples = read_samples(source)
    assert (samples.shape, samples.classes) == ((3, 2, 4), ("a", "b"))
    answers["y"] = Y[:7]
    with pytest.raises(DataError, match=r"y has shape \(7,\); one value for each of 40 samples is needed"):
        read_samples(source)


def test_files_of_a_directory_have_samples_of_one_shape(file: Path) -> None:
    np.savez(file.with_name("more.npz"), X=X[:10], y=Y[:10])
    assert read_samples(file.parent).shape == (3, 2, 4)
    np.savez(file.with_name("other.npz"), X=X[:10].reshape(10, 6, 4), y=Y[:10])
    with pytest.raises(DataError, match=r"more.npz have shape \(3, 2, 4\), of other.npz \(6, 4\)"):
        read_samples(file.parent)


def test_names_of_columns_are_refused_beside_a_shape(file: Path) -> None:
    np.savez(file, X=X, y=Y, feature_names=["a", "b", "c"])
    with pytest.raises(DataError, match=r"has 3 feature_names for samples of shape \(3, 2, 4\), which take none"):
        read_samples(file)


def test_rows_of_a_table_have_no_shape(file: Path) -> None:
    np.savez(file, X=X.reshape(40, 24), y=Y)
    assert read_samples(file).shape == ()
