import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_linnerud
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from p2pnet.catalogue.losses import LOSSES, losses_for
from p2pnet.data.datasets import load_dataset, load_named
from p2pnet.data.roles import Roles
from p2pnet.errors import ConfigError, DataError


def test_digits_are_scikit_learns_divided_by_16_in_its_own_split() -> None:
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.2, random_state=0, stratify=y)
    train, test = load_named("digits")

    np.testing.assert_array_equal(train.X, X_train)
    np.testing.assert_array_equal(test.X, X_test)
    np.testing.assert_array_equal(train.Y, y_train)
    np.testing.assert_array_equal(test.Y, y_test)
    assert train.classes == tuple("0123456789")


def test_breast_cancer_is_scikit_learns_standardised_in_its_own_split() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
    scaler = StandardScaler().fit(X_train)
    train, test = load_named("breast-cancer")

    np.testing.assert_allclose(train.X, scaler.transform(X_train), atol=1e-12)
    np.testing.assert_allclose(test.X, scaler.transform(X_test), atol=1e-12)
    np.testing.assert_array_equal(train.Y, y_train)
    np.testing.assert_array_equal(test.Y, y_test)
    assert train.classes == tuple(load_breast_cancer().target_names)


def test_diabetes_is_scikit_learns_standardised_in_its_own_split() -> None:
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y[:, np.newaxis], test_size=0.2, random_state=0)
    X_scaler, y_scaler = StandardScaler().fit(X_train), StandardScaler().fit(y_train)
    train, test = load_named("diabetes")

    np.testing.assert_allclose(train.X, X_scaler.transform(X_train), atol=1e-10)
    np.testing.assert_allclose(test.X, X_scaler.transform(X_test), atol=1e-10)
    np.testing.assert_allclose(train.Y, y_scaler.transform(y_train), atol=1e-10)
    np.testing.assert_allclose(test.Y, y_scaler.transform(y_test), atol=1e-10)


def test_scikit_learn_is_never_imported_for_its_data() -> None:
    program = (
        "import sys; from p2pnet.data.datasets import load_named; load_named('digits'); print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_scikit_learn_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DataError, match="pip install scikit-learn"):
        load_named("digits")


def test_a_file_is_split_by_the_seed_and_standardised_by_its_training_part(tmp_path: Path) -> None:
    rows = "".join(f"{row},{row % 7},5,{3 * row + 0.5}\n" for row in range(50))
    (tmp_path / "data.csv").write_text("a,b,constant,y\n" + rows)
    train, test = load_dataset(str(tmp_path / "data.csv"), None, "auto", seed=0)

    assert (train.n_samples, test.n_samples) == (40, 10)
    np.testing.assert_allclose(train.X.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(train.X.std(axis=0), [1, 1, 0], atol=1e-12)
    np.testing.assert_allclose([train.Y.mean(), train.Y.std()], [0, 1], atol=1e-12)
    np.testing.assert_array_equal(test.X[:, 2], 0)
    assert not np.array_equal(load_dataset(str(tmp_path / "data.csv"), None, "auto", seed=1)[0].X, train.X)


@pytest.mark.parametrize("loss", ["auto", *losses_for("regression")])
def test_targets_are_standardised_for_the_losses_that_allow_it(tmp_path: Path, loss: str) -> None:
    (tmp_path / "counts.csv").write_text("x,y\n" + "".join(f"{row},{row % 5}\n" for row in range(50)))
    train, test = load_dataset(str(tmp_path / "counts.csv"), None, "regression", seed=0, loss=loss)
    named, _ = load_named("diabetes", loss)

    assert train.X.std() == pytest.approx(1.0)
    assert named.X.std() == pytest.approx(1.0)
    if loss == "auto" or LOSSES[loss].is_target_scaled:
        assert (train.Y.std(), named.Y.std()) == pytest.approx((1.0, 1.0))
    else:
        assert {*train.Y[:, 0], *test.Y[:, 0]} == {0.0, 1.0, 2.0, 3.0, 4.0}
        assert named.Y.min() >= 25.0  # as scikit-learn has them


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("x,y\n1,2\n2,2\n", "regression", "has one value only"),
        ("x,y\n1,a\n2,a\n", "auto", "has one value only"),
    ],
)
def test_a_target_that_never_changes_is_refused(tmp_path: Path, text: str, task: str, message: str) -> None:
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_dataset(str(tmp_path / "data.csv"), None, task, seed=0)  # type: ignore[arg-type]


def test_tables_with_dates_categories_and_gaps_become_plain_inputs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ages = ["" if k % 7 == 0 else f"{rng.normal(60, 9):.1f}" for k in range(90)]
    rows = [
        f"p{k},{age},2025-01-{k % 28 + 1:02},{'uvw'[k % 3]},{'no' if k % 2 else 'yes'}" for k, age in enumerate(ages)
    ]
    (tmp_path / "table.csv").write_text("id,age,day,ward,y\n" + "\n".join(rows))
    roles = Roles(ignore=("id",), categorical=("ward",), dates=("day",), missing="indicator")
    train, test = load_dataset(str(tmp_path / "table.csv"), None, "auto", seed=0, roles=roles)
    assert train.encoding is None
    assert not train.categories
    assert train.feature_names[-3:] == test.feature_names[-3:] == ("ward = u", "ward = v", "ward = w")
    assert np.isfinite(train.X).all()
    assert np.isfinite(test.X).all()
    np.testing.assert_array_equal(train.X[:, -3:].sum(axis=1), 1.0)
    place = train.feature_names.index("age")
    assert abs(train.X[:, place].mean()) < 1e-12


def test_linnerud_is_scikit_learns_weight_by_exercises() -> None:
    X, y = load_linnerud(return_X_y=True)
    X_train, _, y_train, _ = train_test_split(X, y[:, :1], test_size=0.2, random_state=0)
    train, test = load_named("linnerud")

    np.testing.assert_allclose(train.X, StandardScaler().fit_transform(X_train), atol=1e-12)
    np.testing.assert_allclose(train.Y, StandardScaler().fit_transform(y_train), atol=1e-12)
    assert test.n_samples == 4


def test_images_are_digits_of_28_by_28_that_depend_on_their_seed_alone() -> None:
    train, test = load_named("images:200:3")
    again, _ = load_named("images:200:3")
    other, _ = load_named("images:200:4")

    assert train.X.shape == (160, 784)
    assert test.X.shape == (40, 784)
    assert 0.0 <= train.X.min() < 0.01 < 0.9 < train.X.max() <= 1.0
    assert train.classes == tuple("0123456789")
    np.testing.assert_array_equal(train.X, again.X)
    assert not np.array_equal(train.X, other.X)


def test_each_image_is_of_the_digit_that_its_label_names() -> None:
    """Shrunk to 8 × 8 again, nearest neighbors among the digits themselves are mostly of the same label."""
    X, y = load_digits(return_X_y=True)
    train, _ = load_named("images:300")
    middle = train.X.reshape(-1, 28, 28)[:, 2:26, 2:26].reshape(-1, 8, 3, 8, 3).mean(axis=(2, 4)).reshape(-1, 64)
    nearest = np.linalg.norm(middle[:, np.newaxis] - X / 16, axis=2).argmin(axis=1)

    assert np.mean(y[nearest] == train.Y) > 0.6


@pytest.mark.parametrize(
    "text", ["images:", "images:x", "images:200:1:2", "images:10", "images:-5", "images:99999999999"]
)
def test_numbers_that_images_cannot_have_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--data {text}: must"):
        load_dataset(text, None, "auto", seed=0)
