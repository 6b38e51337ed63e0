"""Columns by their names and roles: features, dates, categories, gaps; what looks wrong is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from p2pnet.data.encoding import DATE_PARTS, EncodedColumn, Encoding, date_parts
from p2pnet.data.reading import DataOptions, load_data, read_samples
from p2pnet.data.roles import Roles
from p2pnet.data.samples import Samples
from p2pnet.errors import DataError, DataProblemsError, ModelError


def samples(directory: Path, text: str, **roles: Any) -> Samples:
    path = directory / "table.csv"
    path.write_text(text, encoding="utf-8")
    return read_samples(path, Roles(**roles))


def complaint(directory: Path, text: str, **roles: Any) -> str:
    with pytest.raises(DataError) as caught:
        samples(directory, text, **roles)
    return str(caught.value)


def test_columns_are_in_the_order_of_their_names_wherever_they_stand(tmp_path: Path) -> None:
    one = samples(tmp_path, "x10,b,x2,y\n1,2,3,u\n4,5,6,v\n")
    other = samples(tmp_path, "y,x2,x10,b\nu,3,1,2\nv,6,4,5\n", target="y")
    assert one.feature_names == other.feature_names == ("b", "x2", "x10")
    np.testing.assert_array_equal(one.X, other.X)
    chosen = samples(tmp_path, "x10,b,x2,y\n1,2,3,u\n4,5,6,v\n", features=("x2", "x10"))
    assert chosen.feature_names == ("x2", "x10")
    np.testing.assert_array_equal(chosen.X, [[3, 1], [6, 4]])


def test_names_are_compared_in_their_composed_form(tmp_path: Path) -> None:
    assert samples(tmp_path, "cafe\u0301,y\n1,u\n2,v\n").feature_names == ("café",)


def test_what_is_ignored_may_be_anything(tmp_path: Path) -> None:
    found = samples(tmp_path, "id,a,note,y\nq1,1,,u\nq2,2,long,v\n", ignore=("id", "note", "of another site"))
    assert found.feature_names == ("a",)


def test_a_date_is_days_and_places_on_circles(tmp_path: Path) -> None:
    found = samples(tmp_path, "d,y\n1970-01-01,1.5\n1971-01-01 12:00,2.5\n", dates=("d",))
    assert found.feature_names == tuple(f"d: {part}" for part in DATE_PARTS)
    np.testing.assert_allclose(found.X[0], [0, 0, 1, np.sin(6 * np.pi / 7), np.cos(6 * np.pi / 7), 0, 1], atol=1e-12)
    assert found.X[1, 0] == 365.5
    np.testing.assert_allclose(found.X[1, 5:], [0, -1], atol=1e-12)


def test_the_parts_of_dates_close_their_circles() -> None:
    days = np.arange(-800.0, 800.0, 0.25)
    parts = np.column_stack(date_parts(days))
    for place in (1, 3, 5):
        np.testing.assert_allclose(parts[:, place] ** 2 + parts[:, place + 1] ** 2, 1.0)
    assert np.isnan(np.column_stack(date_parts(np.array([np.nan])))).all()


def test_levels_become_inputs_once_they_are_known(tmp_path: Path) -> None:
    found = samples(tmp_path, "a,w,y\n1,ICU,u\n2, ward ,v\n3,ICU,u\n4,1.0,v\n", categorical=("w",))
    assert found.feature_names == ("a",)
    assert found.categories[0].levels == ("ICU", "ward", "1")
    known = found.with_levels({"w": ("1", "ICU", "lab")})
    assert known.feature_names == ("a", "w = 1", "w = ICU", "w = lab")
    np.testing.assert_array_equal(known.X, [[1, 0, 1, 0], [2, 0, 0, 0], [3, 0, 1, 0], [4, 1, 0, 0]])


GAPS = "a,w,d,y\n1,u,2025-01-01,0.5\n,v,2025-01-02,1.5\n3,NA,,2.5\n4,v,2025-01-04,\n"


def test_gaps_are_refused_dropped_or_left_to_the_networks_means(tmp_path: Path) -> None:
    roles: dict[str, Any] = {"categorical": ("w",), "dates": ("d",), "task": "regression"}
    told = complaint(tmp_path, GAPS, **roles)
    for name, line in (("a", 3), ("w", 4), ("d", 4)):
        assert f"column {name!r}: the value is missing in 1 row (line {line}); missing = " in told
    assert "column 'y': the target is missing in 1 row (line 5)" in told
    dropped = samples(tmp_path, GAPS, missing="drop", **roles)
    assert dropped.X[:, 0].tolist() == [1]
    assert not dropped.has_gaps
    filled = samples(tmp_path, GAPS, missing="mean", **roles)
    assert filled.has_gaps
    np.testing.assert_array_equal(np.isnan(filled.X[:, 0]), [False, True, False])
    assert filled.categories[0].codes.tolist() == [0, 1, -1]
    told_too = samples(tmp_path, GAPS, missing="indicator", **roles)
    assert told_too.feature_names[-3:] == ("a is missing", "d is missing", "w is missing")
    np.testing.assert_array_equal(told_too.X[:, -3:], [[0, 0, 0], [1, 0, 0], [0, 1, 1]])
    assert "column 'a': 1 of 4 values are missing" in filled.notes
    assert "column 'y': 1 rows without a value are left out" in filled.notes


def test_a_label_that_is_called_na_must_be_named(tmp_path: Path) -> None:
    text = "a,y\n1,NA\n2,yes\n3,no\n4,NA\n"
    assert "column 'y': the target is missing in 2 rows (lines 2, 5)" in complaint(tmp_path, text)
    assert samples(tmp_path, text, missing="drop").classes == ("no", "yes")
    assert samples(tmp_path, text, classes=("NA", "no", "yes")).Y.tolist() == [0, 2, 1, 0]


def test_truth_values_are_numbers_in_features_and_one_label_in_targets(tmp_path: Path) -> None:
    found = samples(tmp_path, "smoker,y\nyes,True\nNo,true\nYES,FALSE\n")
    assert found.X[:, 0].tolist() == [1, 0, 1]
    assert found.classes == ("false", "true")


def test_all_flaws_are_in_one_list_with_the_settings_that_solve_them(tmp_path: Path) -> None:
    rows = "".join(f'i{k},2025-01-{k % 28 + 1:02},{"fm"[k % 2]},"1,{k}",{k},x\n' for k in range(60))
    with pytest.raises(DataProblemsError) as caught:
        samples(tmp_path, "id,d,sex,price,n,y\n" + rows)
    told = "\n".join(caught.value.problems)
    assert caught.value.headline.endswith("table.csv: 4 problems")
    for setting in ('dates = ["d"]', 'categorical = ["sex"]', 'ignore = ["id"]', 'decimal = ","'):
        assert setting in told


@pytest.mark.parametrize(
    ("roles", "what"),
    [
        ({"target": "z"}, "has no column 'z', which data.target names; its columns are a, b, y"),
        ({"features": ("a", "c")}, "has no column 'c', which data.features names"),
        ({"categorical": ("c",)}, "has no column 'c', which data.categorical names"),
        ({"dates": ("y",)}, "column 'y' is the target or weights, and in data.dates too"),
        ({"dates": ("a",), "categorical": ("a",)}, "column 'a' is in data.categorical and in data.dates"),
        ({"ignore": ("a", "b")}, "no column is left to learn from"),
        ({"dates": ("a",)}, "column 'a': '1' in 2 rows (lines 2, 3) is no date; write dates as in 2025-03-31"),
    ],
)
def test_roles_that_cannot_be_are_named(tmp_path: Path, roles: dict[str, Any], what: str) -> None:
    assert what in complaint(tmp_path, "a,b,y\n1,2,u\n1,3,v\n", **roles)


def test_what_looks_like_no_feature_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{k + 10**7},{k * k},{'xz'[k % 2]},{k % 2},{rng.standard_normal()}" for k in range(40)]
    notes = samples(tmp_path, "patient,row_id,y,copy,a\n" + "\n".join(rows) + "\n", target="y").notes
    assert [note.split("'")[1] for note in notes] == ["copy", "patient", "row_id"]
    assert "tells the target 'y' all by itself" in notes[0]
    assert "looks like an identifier or a row number" in notes[1]


def test_days_that_count_the_rows_are_no_identifier(tmp_path: Path) -> None:
    rows = "".join(f"2025-01-{k:02},{k % 7},{k % 5}.5\n" for k in range(1, 29))
    assert samples(tmp_path, "day,a,y\n" + rows, dates=("day",)).notes == ()


def test_a_test_file_has_its_columns_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,w,y\n" + "1,u,0.5\n2,v,1.5\n" * 5)
    (tmp_path / "test.csv").write_text("y,more,w,a\n2.5,7,u,3\n")
    options = DataOptions(
        source=tmp_path / "train.csv", test_source=tmp_path / "test.csv", roles=Roles(categorical=("w",))
    )
    train, test, _ = load_data(options)
    assert (train.feature_names, test.feature_names) == (("a",), ("a",))
    assert test.X.tolist() == [[3]]
    assert test.Y.tolist() == [[2.5]]


def test_an_encoding_survives_in_a_model_file() -> None:
    columns = (EncodedColumn("ä", "number"), EncodedColumn("d", "date"), EncodedColumn("w", "category", ("u", "v")))
    encoding = Encoding(columns, "indicator")
    assert Encoding.from_json(encoding.to_json()) == encoding
    assert encoding.inputs[-2:] == ("w = u", "w = v")
    for text in ("", "none", "[]", '{"columns": [{"name": "a", "kind": "image", "levels": []}], "missing": "mean"}'):
        with pytest.raises(ModelError, match="is not known to this p2pnet"):
            Encoding.from_json(text)
