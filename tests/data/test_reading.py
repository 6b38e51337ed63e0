import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from p2pnet.data.reading import DataOptions, load_data, read_samples, write_npz
from p2pnet.data.roles import Roles
from p2pnet.data.samples import Samples, in_order
from p2pnet.errors import DataError


def csv_file(directory: Path, text: str | bytes) -> Path:
    path = directory / "samples.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def npz_file(directory: Path, **arrays: Any) -> Path:
    path = directory / "samples.npz"
    np.savez(path, **arrays)
    return path


def read(source: Path, target: str | None = None, **roles: Any) -> Samples:
    return read_samples(source, Roles(target=target, **roles))


def complaint(source: Path, **roles: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(source, **roles)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message.removeprefix(f"{source.parent}/")


def test_the_last_column_is_the_target_and_the_others_are_features(tmp_path: Path) -> None:
    samples = read(csv_file(tmp_path, "a, b,price\n1,2,0.5\n\n-3e1, 4 ,0.25\n"))

    np.testing.assert_array_equal(samples.X, [[1, 2], [-30, 4]])
    np.testing.assert_array_equal(samples.Y, [[0.5], [0.25]])
    assert samples.task == "regression"
    assert samples.feature_names == ("a", "b")
    assert samples.target_name == "price"
    assert (samples.n_samples, samples.n_features, samples.n_outputs) == (2, 2, 1)


def test_any_column_can_be_the_target(tmp_path: Path) -> None:
    samples = read(csv_file(tmp_path, "a,label,b\n1,no,2\n3,yes,4\n"), "label")

    np.testing.assert_array_equal(samples.X, [[1, 2], [3, 4]])
    assert samples.feature_names == ("a", "b")
    assert samples.classes == ("no", "yes")


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        (["ham", "spam"], "classification"),
        (["1", "ham"], "classification"),
        (["0", "1", "1", "0"], "classification"),
        (["0", "1.0", "1", "0.0"], "classification"),
        (["0.5", "1", "1", "0.5"], "regression"),
        (["1", "2", "3"], "regression"),
        ([str(n) for n in range(20)] * 2, "classification"),
        ([str(n) for n in range(21)] * 2, "regression"),
    ],
)
def test_the_task_follows_from_the_targets(tmp_path: Path, targets: Sequence[str], task: str) -> None:
    rows = "".join(f"0,{target}\n" for target in targets)
    assert read(csv_file(tmp_path, f"x,y\n{rows}")).task == task


def test_classes_are_in_the_order_of_the_numbers_or_of_the_alphabet_or_as_given(tmp_path: Path) -> None:
    numbers = csv_file(tmp_path, "x,y\n0,10\n0,9\n0,9.0\n")
    samples = read(numbers, task="classification")
    assert samples.classes == ("9", "10")
    np.testing.assert_array_equal(samples.Y, [1, 0, 0])

    samples = read(numbers, classes=("10", "9", "8"))
    assert samples.classes == ("10", "9", "8")
    np.testing.assert_array_equal(samples.Y, [0, 1, 1])
    assert samples.n_outputs == 3


def test_a_shard_of_one_class_has_that_class_or_those_that_are_named(tmp_path: Path) -> None:
    shard = csv_file(tmp_path, "x,y\n0,cat\n1,cat\n")
    assert read(shard).classes == ("cat",)
    np.testing.assert_array_equal(read(shard, classes=("ant", "cat")).Y, [1, 1])


def test_labels_become_indices_into_other_classes_which_must_hold_them_all(tmp_path: Path) -> None:
    samples = read(csv_file(tmp_path, "x,y\n0,cat\n1,ant\n2,cat\n"))
    again = samples.with_classes(("cat", "bee", "ant"))
    np.testing.assert_array_equal(again.Y, [0, 2, 0])
    assert again.classes == ("cat", "bee", "ant")
    with pytest.raises(DataError, match="label 'cat' is none of the classes ant, bee"):
        samples.with_classes(("ant", "bee"))


def test_labels_are_in_the_order_of_the_numbers_if_all_are_numbers() -> None:
    assert in_order({"10", "9", "-1", "0.5"}) == ("-1", "0.5", "9", "10")
    assert in_order({"10", "9", "none"}) == ("10", "9", "none")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "samples.csv: is empty; it must begin with a header line"),
        ("a,b\n", "samples.csv: has no rows"),
        ("1,2\n3,4\n", "samples.csv, line 1: holds numbers only; it must be a header that names the columns"),
        ("a\n1\n", "samples.csv: has one column only, 'a'; set data.delimiter"),
        ("a,b\n1,2\n\n3\n", "samples.csv, line 4: has 1 values, the header names 2 columns"),
        ("a,b\n1,2\n3,4,5\n", "samples.csv, line 3: has 3 values, the header names 2 columns"),
        ("a,b\n1,2\n ,4\n", "samples.csv, column 'a': the value is missing in 1 row (line 3); missing = "),
        ("a,b\n1,2\nnan,4\n", "samples.csv, column 'a': the value is missing in 1 row (line 3); missing = "),
        ("a,b\n1,2\n-inf,4\n", "samples.csv, column 'a': text '-inf' in 1 row (line 3) where a number is needed; "),
        ("a,b\n1,2\n1e999,4\n", "samples.csv, column 'a': text '1e999' in 1 row (line 3) where a number is needed; "),
        ("a,b\nred,2\n1,4\n", "samples.csv, column 'a': text 'red' in 1 row (line 2) where a number is needed; categ"),
        ('a,b\n1,"x\ny"\nred,x\n', "samples.csv, column 'a': text 'red' in 1 row (line 4) where a number is needed"),
        ("a,b\n1,2\n1,\n", "samples.csv, column 'b': the target is missing in 1 row (line 3); missing = "),
        ("a,b\n1,2\n1,NaN\n", "samples.csv, column 'b': the target is missing in 1 row (line 3); missing = "),
        ('a,b\n1,"2\n', "samples.csv, line 2: is not CSV: unexpected end of data"),
        (b"a,b\n\xff,2\n", "samples.csv, column 'a': text 'ÿ' in 1 row (line 2) where a number is needed"),
        (
            "a,,b\n1,2,3\n",
            "samples.csv, line 1: column 2 has no name, as an index has none; give it one, or ignore = [",
        ),
        ("a,a,b\n1,2,3\n", "samples.csv, line 1: 2 columns are called 'a'; give each its own name"),
    ],
)
def test_a_wrong_csv_is_one_line_with_file_line_and_column(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert complaint(csv_file(tmp_path, text)).startswith(message)


def test_a_bad_value_far_down_is_found_at_its_line(tmp_path: Path) -> None:
    rows = ["1,2"] * 10_000
    rows[9_000] = "1,x"
    assert complaint(csv_file(tmp_path, "y,b\n" + "\n".join(rows)), target="y").startswith(
        "samples.csv, column 'b': text 'x' in 1 row (line 9002)"
    )


def test_what_is_asked_of_the_target_must_be_there(tmp_path: Path) -> None:
    source = csv_file(tmp_path, "a,b,b\n1,2,x\n3,4,y\n")
    assert "there is more than one column 'b'" in complaint(source, target="b")
    source = csv_file(tmp_path, "a,b,c\n1,2,x\n3,4,y\n")
    assert "has no column 'd', which data.target names; its columns are a, b, c" in complaint(source, target="d")
    assert complaint(source, task="regression") == (
        "samples.csv, column 'c': text 'x' in 2 rows (lines 2, 3) where task regression needs a number"
    )
    assert complaint(source, classes=("y", "z")) == (
        "samples.csv, column 'c': label 'x' in 1 row (line 2) is none of the classes y, z"
    )
    assert complaint(tmp_path / "none.csv") == "none.csv: no such file"
    (tmp_path / "directory.csv").mkdir()
    assert complaint(tmp_path / "directory.csv").startswith("directory.csv: is a directory without any .csv")


X = np.arange(8.0).reshape(4, 2)


def test_npz_holds_the_features_and_the_target_in_y_or_in_the_array_named(tmp_path: Path) -> None:
    source = npz_file(tmp_path, X=X.astype(np.int8), y=[1.5, 2, 3, 4], label=[True, False, True, False])

    samples = read(source)
    np.testing.assert_array_equal(samples.X, X)
    np.testing.assert_array_equal(samples.Y[:, 0], [1.5, 2, 3, 4])
    assert samples.X.dtype == samples.Y.dtype == np.float64
    assert samples.feature_names == ("x1", "x2")
    assert read(source, "label").classes == ("0", "1")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X}, "samples.npz: has no column 'y', which data.target names; its columns are x1, x2"),
        (
            {"X": X, "y": np.array([1, 2, None, 3])},
            "samples.npz: is not an NPZ file of plain arrays; write it with numpy.savez",
        ),
        (
            {"X": X[0], "y": [1]},
            "samples.npz: X must be numbers of shape (samples, features), not float64 of shape (2,)",
        ),
        (
            {"X": X, "y": [1.0]},
            "samples.npz: y must be numbers or text of shape (4,) as X has 4 rows, not float64 of shape (1,)",
        ),
        (
            {"X": np.where(X == 5, np.nan, X), "y": [1, 2, 3, 4]},
            "samples.npz, column 'x2': the value is missing in 1 row (row 2)",
        ),
        ({"X": X, "y": [1, 2, np.inf, 4]}, "samples.npz, column 'y': inf in 1 row (row 2) is no finite number"),
        ({"X": X, "y": ["a", "", "b", "a"]}, "samples.npz, column 'y': the target is missing in 1 row (row 1)"),
        ({"X": X[:0], "y": X[:0, 0]}, "samples.npz: has no rows"),
        ({"X": X, "y": X[:, 0], "feature_names": ["a"]}, "samples.npz: has 1 feature_names for 2 columns of X"),
    ],
)
def test_a_wrong_npz_is_one_line(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    assert complaint(npz_file(tmp_path, **arrays)).startswith(message)


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "samples.npz"
    source.write_bytes(b"hello")
    assert complaint(source).startswith("samples.npz: is not an NPZ file")
    with source.open("wb") as file:
        np.save(file, X)
    assert complaint(source) == "samples.npz: is a single array; write X and y with numpy.savez"


@pytest.mark.parametrize("text", ["a,b,y\n1,2,0.1\n3,4,0.2\n", "a,b,y\n1,2,01\n3,4,x\n3,5,x\n"])
def test_samples_written_are_read_back_the_same(tmp_path: Path, text: str) -> None:
    samples = read(csv_file(tmp_path, text))
    write_npz(samples, tmp_path / "shard.npz")
    again = read(tmp_path / "shard.npz", classes=samples.classes or None)

    np.testing.assert_array_equal(again.X, samples.X)
    np.testing.assert_array_equal(again.Y, samples.Y)
    assert (again.task, again.classes) == (samples.task, samples.classes)
    assert (again.feature_names, again.target_name) == (samples.feature_names, samples.target_name)


def labelled(n_samples: int, n_classes: int) -> Samples:
    Y = np.arange(n_samples) % n_classes
    classes = tuple(str(label) for label in range(n_classes))
    return Samples(np.arange(n_samples, dtype=float)[:, np.newaxis], Y, "classification", classes, ("row",), "y")


def test_a_split_loses_nothing_and_keeps_the_share_of_each_class() -> None:
    samples = labelled(100, 4)
    train, test = samples.split(0.2, np.random.default_rng(0))

    assert sorted(np.concatenate([train.X, test.X])[:, 0]) == list(range(100))
    np.testing.assert_array_equal(np.bincount(test.Y), [5, 5, 5, 5])
    np.testing.assert_array_equal(train.X[:, 0] % 4, train.Y)


def data(directory: Path, text: str, **more: Any) -> DataOptions:
    return DataOptions(source=csv_file(directory, text), **more)


def test_without_a_test_file_a_part_is_kept_for_the_test_by_the_seed(tmp_path: Path) -> None:
    text = "x,y\n" + "".join(f"{row},{row + 0.5}\n" for row in range(20))
    train, test, _ = load_data(data(tmp_path, text, test_fraction=0.25, seed=1))

    assert (train.n_samples, test.n_samples) == (15, 5)
    np.testing.assert_array_equal(load_data(data(tmp_path, text, test_fraction=0.25, seed=1))[1].X, test.X)
    assert not np.array_equal(load_data(data(tmp_path, text, test_fraction=0.25, seed=2))[1].X, test.X)


def test_a_test_file_is_read_with_the_task_and_classes_of_the_training_file(tmp_path: Path) -> None:
    test_source = tmp_path / "test.csv"
    test_source.write_text("x,y\n5,2\n")
    train, test, _ = load_data(data(tmp_path, "x,y\n0,1\n1,2\n2,1\n3,2\n", test_source=test_source))

    assert train.n_samples == 4
    assert test.classes == train.classes == ("1", "2")
    np.testing.assert_array_equal(test.Y, [1])


def test_labels_of_the_test_file_are_classes_too(tmp_path: Path) -> None:
    test_source = tmp_path / "test.csv"
    test_source.write_text("x,y\n5,bee\n")
    train, test, _ = load_data(data(tmp_path, "x,y\n0,cat\n1,ant\n", test_source=test_source))

    assert test.classes == train.classes == ("ant", "bee", "cat")
    np.testing.assert_array_equal(train.Y, [2, 0])
    np.testing.assert_array_equal(test.Y, [1])


@pytest.mark.parametrize(
    ("text", "message"),
    [("z,y\n5,2\n", "has no column 'x', which data.features names"), ("x\n5\n", "no column 'y', which data.target")],
)
def test_a_test_file_with_other_columns_is_refused(tmp_path: Path, text: str, message: str) -> None:
    test_source = tmp_path / "test.csv"
    test_source.write_text(text)
    with pytest.raises(DataError, match=message):
        load_data(data(tmp_path, "x,y\n0,1\n1,2\n2,1\n3,2\n", test_source=test_source))


def test_too_few_rows_to_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"samples\.csv: 1 rows are too few"):
        load_data(data(tmp_path, "x,y\n0,0.5\n"))


def test_weights_are_a_column_apart(tmp_path: Path) -> None:
    source = csv_file(tmp_path, "a,weight,b,price\n1,0.5,2,10.5\n3,0,4,20.5\n")
    samples = read(source, weights="weight")
    assert samples.feature_names == ("a", "b")
    np.testing.assert_array_equal(samples.X, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(samples.Y, [[10.5], [20.5]])
    assert samples.weights is not None
    np.testing.assert_array_equal(samples.weights, [0.5, 0.0])
    assert samples.take(slice(1)).weights == [0.5]


def test_without_a_name_the_target_is_the_last_column_that_is_not_the_weights(tmp_path: Path) -> None:
    samples = read(csv_file(tmp_path, "a,price,weight\n1,10.5,1\n3,20.5,2\n"), weights="weight")
    assert (samples.feature_names, samples.target_name) == (("a",), "price")


def test_weights_survive_in_an_npz(tmp_path: Path) -> None:
    samples = read(csv_file(tmp_path, "a,weight,price\n1,0.5,10.5\n3,2,20.5\n"), weights="weight")
    write_npz(samples, tmp_path / "samples.npz")
    again = read(tmp_path / "samples.npz", weights="weights")
    assert again.weights is not None
    np.testing.assert_array_equal(again.weights, [0.5, 2.0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,weight,price\n1,1,10.5\n3,-1,20.5\n", "column 'weight': weight -1 in line 3 must be a number of 0 or more"),
        ("a,weight,price\n1,1,10.5\n3,much,20.5\n", "column 'weight': text 'much' in 1 row"),
        ("a,weight,price\n1,0,10.5\n3,0,20.5\n", "all weights in 'weight' are 0"),
        ("a,b,price\n1,0,10.5\n", "no column 'weight', which data.weights names"),
    ],
)
def test_weights_that_cannot_be_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(csv_file(tmp_path, text), weights="weight")


def test_arrays_that_would_unpack_to_far_more_than_their_file_are_refused_before_they_do(tmp_path: Path) -> None:
    source = tmp_path / "samples.npz"
    np.savez_compressed(source, X=np.zeros((2**22, 9), dtype=np.int64), y=np.zeros(2**22))
    tracemalloc.start()
    try:
        assert "numpy.savez, which does not compress" in complaint(source)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_arrays_that_do_not_fit_together_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    source = npz_file(tmp_path, X=np.zeros((2**20, 1)), y=np.zeros(3))
    tracemalloc.start()
    try:
        assert "y must be numbers or text of shape (1048576,)" in complaint(source)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_compressed_samples_are_read_as_all_others(tmp_path: Path) -> None:
    source = tmp_path / "samples.npz"
    np.savez_compressed(source, X=X, y=[1, 2, 3, 4])
    np.testing.assert_array_equal(read(source).X, X)
