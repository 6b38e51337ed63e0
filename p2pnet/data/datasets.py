"""Data sets of the demo and the simulation: scikit-learn's own, images made from one of them, or a user's file.

scikit-learn's files are read as they lie in its package: importing it takes over a second, reading them a few
hundredths.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from p2pnet.catalogue.readers import has_reader, suffixes
from p2pnet.data.images import FORMS as IMAGE_FORMS
from p2pnet.data.images import draw_images, is_images, parse_images
from p2pnet.data.reading import Roles, TaskChoice, read_samples
from p2pnet.data.samples import Samples
from p2pnet.data.scaling import is_target_scaled, moments, scaling_by
from p2pnet.errors import DataError

TEST_FRACTION = 0.2


def load_dataset(
    data: str, target: str | None, task: TaskChoice, seed: int, loss: str = "auto", roles: Roles | None = None
) -> tuple[Samples, Samples]:
    """(training, test) samples of a named data set, or of a file split by `seed`, standardised for this loss.

    `roles` says what a file's other columns are for; dates, categories and gaps have become inputs.
    """
    if is_named(data):
        return load_named(data, loss)
    source = Path(data)
    if not has_reader(source):
        raise DataError(f"{data}: is neither a {suffixes()} file nor one of {named_datasets()}")
    samples = read_samples(source, replace(roles or Roles(), target=target, task=task))
    if len(np.unique(samples.Y)) < 2:
        raise DataError(f"{data}, column {samples.target_name!r}: has one value only; there is nothing to learn")
    try:
        train, test = samples.split(TEST_FRACTION, np.random.default_rng(seed))
    except DataError as error:
        raise DataError(f"{data}: {error}") from error
    return standardize(train, test, loss)


def is_named(data: str) -> bool:
    """Whether this is a data set that has a name; ConfigError for numbers that it cannot have."""
    return data in NAMED_DATASETS or (is_images(data) and parse_images(data) is not None)


def named_datasets() -> str:
    """The names of all, for people."""
    return ", ".join((*NAMED_DATASETS, IMAGE_FORMS))


def load_named(name: str, loss: str = "auto") -> tuple[Samples, Samples]:
    """(training, test) samples of a data set that has a name.

    The split is scikit-learn's `train_test_split(test_size=0.2, random_state=0)`, stratified for classification.
    Digits and images have values from 0 to 1; the others are standardised.
    """
    rng = np.random.RandomState(0)  # the older generator is part of the data sets' definition
    files = _sklearn_files()
    samples = NAMED_DATASETS[name](files) if name in NAMED_DATASETS else _images(files, name)
    train, test = samples.split(TEST_FRACTION, rng)
    return (train, test) if name not in NAMED_DATASETS or name == "digits" else standardize(train, test, loss)


def standardize(train: Samples, test: Samples, loss: str = "auto") -> tuple[Samples, Samples]:
    """Both with (x − mean) / deviation for every feature, by the training samples' mean and deviation.

    The targets of a regression are treated alike, unless the loss needs them as they are. Columns that do not vary
    become 0; those of a category's levels stay 0 and 1.
    """
    mean, variance = moments(train, is_target_scaled(train, loss))
    levels = train.own_levels()
    train, test = train.with_levels(levels), test.with_levels(levels)
    scaling = scaling_by(mean, variance, train.n_features, sum(map(len, levels.values())))
    return _plain(scaling.apply(train)), _plain(scaling.apply(test))


def _plain(samples: Samples) -> Samples:
    """The same with inputs for columns: what was encoded is no more to be."""
    return replace(samples, encoding=None)


def _digits(files: Path) -> Samples:
    table = _table(files / "digits.csv.gz", delimiter=",")
    return _classification(table[:, :-1] / 16, table[:, -1], tuple("0123456789"), "digit")


def _breast_cancer(files: Path) -> Samples:
    table = _table(files / "breast_cancer.csv", delimiter=",", skiprows=1)
    return _classification(table[:, :-1], table[:, -1], ("malignant", "benign"), "diagnosis")


def _wine(files: Path) -> Samples:
    table = _table(files / "wine_data.csv", delimiter=",", skiprows=1)
    return _classification(table[:, :-1], table[:, -1], ("class_0", "class_1", "class_2"), "cultivar")


def _iris(files: Path) -> Samples:
    table = _table(files / "iris.csv", delimiter=",", skiprows=1)
    return _classification(table[:, :-1], table[:, -1], ("setosa", "versicolor", "virginica"), "species")


def _diabetes(files: Path) -> Samples:
    X = _table(files / "diabetes_data_raw.csv.gz")
    y = _table(files / "diabetes_target.csv.gz")
    return Samples(X, y.reshape(-1, 1), "regression", (), _names(X), "progression")


def _linnerud(files: Path) -> Samples:
    """The weight of a person by three exercises."""
    X = _table(files / "linnerud_exercise.csv", skiprows=1)
    y = _table(files / "linnerud_physiological.csv", skiprows=1)[:, :1]
    return Samples(X, y, "regression", (), ("chins", "situps", "jumps"), "weight")


def _images(files: Path, name: str) -> Samples:
    digits = _digits(files)
    X, labels = draw_images(digits.X, digits.Y, parse_images(name))
    return _classification(X.astype(np.float64), labels, digits.classes, digits.target_name)


NAMED_DATASETS: Mapping[str, Callable[[Path], Samples]] = {
    "digits": _digits,
    "breast-cancer": _breast_cancer,
    "diabetes": _diabetes,
    "wine": _wine,
    "iris": _iris,
    "linnerud": _linnerud,
}
"""Those whose files come with scikit-learn."""


def _classification(
    X: NDArray[np.float64], y: NDArray[np.generic], classes: tuple[str, ...], target_name: str
) -> Samples:
    return Samples(X, y.astype(np.intp), "classification", classes, _names(X), target_name)


def _names(X: NDArray[np.float64]) -> tuple[str, ...]:
    return tuple(f"x{column + 1}" for column in range(X.shape[1]))


def _sklearn_files() -> Path:
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("this data set comes with scikit-learn, which is not installed: pip install scikit-learn")
    return Path(package.origin).parent / "datasets" / "data"


def _table(file: Path, delimiter: str | None = None, skiprows: int = 0) -> NDArray[np.float64]:
    try:
        return np.loadtxt(file, delimiter=delimiter, skiprows=skiprows)
    except OSError as error:
        raise DataError(f"{file}: this scikit-learn lacks the file; pip install --upgrade scikit-learn") from error
