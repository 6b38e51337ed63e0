"""Reading this machine's samples: CSV with a header, or NPZ with X and y.

Rows are checked while they are read; the first that cannot be trained on is named by file, line and column.
"""

import csv
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from p2pnet.config import DataSettings, Task
from p2pnet.data.sharding import Indices, split_indices, stratified_split_indices
from p2pnet.errors import DataError

MAX_CLASSES_FROM_NUMBERS = 20

_ROWS_AT_A_TIME = 4096  # text of that many rows is held at once, not of the whole file


class _CsvReader(Protocol):
    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples to train or test on.

    X (n_samples, n_features) float64. Y: for classification the class indices (n_samples,) intp into `classes`, for
    regression the values (n_samples, 1) float64, `classes` being empty. Weights (n_samples,), 0 or more, say how much
    each counts in training; None: all the same.
    """

    X: NDArray[np.float64]
    Y: NDArray[Any]
    task: Task
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    target_name: str
    weights: NDArray[np.float64] | None = None

    @property
    def n_samples(self) -> int:
        return len(self.X)

    @property
    def n_features(self) -> int:
        return int(self.X.shape[1])

    @property
    def n_outputs(self) -> int:
        """Outputs that a model of these samples has: one a class, or one for regression."""
        return len(self.classes) or 1

    def with_classes(self, classes: Sequence[str]) -> "Samples":
        """The same samples with their labels as indices into `classes`; DataError for a label that is none of them."""
        index_of = {label: index for index, label in enumerate(classes)}
        unknown = [label for label in self.classes if label not in index_of]
        if unknown:
            raise DataError(f"label {unknown[0]!r} is none of the classes {', '.join(classes)}")
        Y = np.array([index_of[label] for label in self.classes], dtype=np.intp)[self.Y]
        return replace(self, Y=Y, classes=tuple(classes))

    def take(self, rows: Indices | slice) -> "Samples":
        """The samples of these rows, in this order; views of them for a slice."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, X=self.X[rows], Y=self.Y[rows], weights=weights)

    def split(
        self, test_fraction: float, rng: np.random.Generator | np.random.RandomState
    ) -> tuple["Samples", "Samples"]:
        """(training, test) samples at random, each class with its share in both."""
        if self.task == "classification":
            train, test = stratified_split_indices(self.Y, test_fraction, rng)
        else:
            train, test = split_indices(self.n_samples, test_fraction, rng)
        return self.take(train), self.take(test)


def load_data(settings: DataSettings) -> tuple[Samples, Samples]:
    """(training, test) samples as `[data]` says: test_source where there is one, else a part of source.

    Without data.classes, the classes of both are the labels found in either.
    """
    samples = read_samples(settings.source, settings.target, settings.task, settings.classes, settings.weights)
    if settings.test_source is None:
        try:
            return samples.split(settings.test_fraction, np.random.default_rng(settings.seed))
        except DataError as error:
            raise DataError(f"{settings.source}: {error}") from error
    test = read_samples(settings.test_source, settings.target, samples.task, settings.classes, settings.weights)
    if test.n_features != samples.n_features:
        raise DataError(
            f"{settings.test_source}: has {test.n_features} feature columns, {settings.source} has "
            f"{samples.n_features}; they must have the same"
        )
    if settings.source.suffix == settings.test_source.suffix and test.feature_names != samples.feature_names:
        pairs = zip(test.feature_names, samples.feature_names, strict=True)
        mine, theirs = next(pair for pair in pairs if pair[0] != pair[1])
        raise DataError(f"{settings.test_source}: has column {mine!r} where {settings.source} has {theirs!r}")
    if samples.task == "classification":
        classes = in_order({*samples.classes, *test.classes}) if settings.classes is None else settings.classes
        return samples.with_classes(classes), test.with_classes(classes)
    return samples, test


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels in the order of the numbers if all are numbers, else of the alphabet."""
    labels = sorted(labels)
    return tuple(sorted(labels, key=float) if all(map(_is_number, labels)) else labels)


def read_samples(
    source: Path,
    target: str | None = None,
    task: Literal["auto", "regression", "classification"] = "auto",
    classes: Sequence[str] | None = None,
    weights: str | None = None,
) -> Samples:
    """The samples of a .csv or .npz file.

    `target` is the column to predict (default: the last one; in an .npz the array y), `weights` that of the samples'
    weights, if they have any. Task auto is classification
    when `classes` are given, when a target is text, and when all are whole numbers of which at most 20 differ and
    which come twice on average; else regression. Without `classes`, the classes are the labels found, in the order of
    the numbers or of the alphabet. DataError names the file, the line and the column.
    """
    try:
        is_npz = source.suffix.lower() == ".npz"
        table = _read_npz(source, target, weights) if is_npz else _read_csv(source, target, weights)
    except FileNotFoundError:
        raise DataError(f"{source}: no such file") from None
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror or error}") from error
    if not len(table.X):
        raise DataError(f"{source}: has no rows")
    if task == "auto":
        task = "classification" if classes or _looks_like_labels(table.target) else "regression"
    if task == "regression":
        return table.with_values()
    return table.with_labels(classes)


def write_npz(samples: Samples, path: Path) -> None:
    """Write samples so that `read_samples` gives them back (for classification: given the same classes)."""
    y = np.array(samples.classes)[samples.Y] if samples.task == "classification" else samples.Y[:, 0]
    names = np.array(samples.feature_names)
    if samples.weights is None:
        np.savez(path, X=samples.X, y=y, feature_names=names, target_name=samples.target_name)
    else:
        weights = samples.weights
        np.savez(path, X=samples.X, y=y, feature_names=names, target_name=samples.target_name, weights=weights)


@dataclass(frozen=True, slots=True)
class _Table:
    """Checked features beside a target not yet understood: float64 where all are numbers, else text."""

    source: Path
    X: NDArray[np.float64]
    target: NDArray[Any]
    feature_names: tuple[str, ...]
    target_name: str
    lines: Sequence[int] | None
    """Line of each row in a .csv; None for an .npz, whose rows are counted from 0."""
    weights: NDArray[np.float64] | None

    def with_values(self) -> Samples:
        if self.target.dtype.kind != "f":
            row = next(row for row, text in enumerate(self.target) if not _is_number(text))
            raise self.error(row, f"text {str(self.target[row])!r} where task regression needs a number")
        Y = self.target.reshape(-1, 1)
        return Samples(self.X, Y, "regression", (), self.feature_names, self.target_name, self.weights)

    def with_labels(self, classes: Sequence[str] | None) -> Samples:
        found, codes = np.unique(self.target, return_inverse=True)
        labels = [_label_text(label) for label in found]
        if classes is None:
            classes = labels
        is_numeric = self.target.dtype.kind == "f"
        index_of = {
            _label_text(float(label)) if is_numeric and _is_number(label) else label: index
            for index, label in enumerate(classes)
        }
        for code, label in enumerate(labels):
            if label not in index_of:
                row = int(np.argmax(codes == code))
                raise self.error(row, f"label {label!r} is none of the classes {', '.join(classes)}")
        Y = np.array([index_of[label] for label in labels], dtype=np.intp)[codes]
        return Samples(self.X, Y, "classification", tuple(classes), self.feature_names, self.target_name, self.weights)

    def error(self, row: int, what: str, column: str | None = None) -> DataError:
        """Of a row's target, or of its value in another column."""
        place = f"row {row}" if self.lines is None else f"line {self.lines[row]}"
        return DataError(f"{self.source}, {place}, column {column or self.target_name!r}: {what}")


def _read_csv(source: Path, target: str | None, weights: str | None) -> _Table:
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            weighing = None if weights is None else _column(source, header, weights)
            column = _target_column(source, header, target, weighing)
            # All that are no features.
            apart = sorted({column} if weighing is None else {column, weighing}, reverse=True)
            names = tuple(name for index, name in enumerate(header) if index not in apart)
            blocks: list[NDArray[np.float64]] = [np.empty((0, len(names)))]
            weight_blocks: list[NDArray[np.float64]] = [np.empty((0, 1))]
            texts: list[str] = []
            lines: list[int] = []
            while rows := list(islice(_numbered_rows(reader), _ROWS_AT_A_TIME)):
                _check_lengths(source, rows, len(header))
                lines += [line for line, _ in rows]
                texts += [row[column].strip() for _, row in rows]
                if weighing is not None:
                    weight_blocks.append(
                        _numeric_block(source, [(line, [row[weighing]]) for line, row in rows], [header[weighing]])
                    )
                for index in apart:
                    for _, row in rows:
                        del row[index]
                blocks.append(_numeric_block(source, rows, names))
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: is not UTF-8 text; save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{source}, line {reader.line_num}: is not CSV: {error}") from error
    weight_of = None if weighing is None else np.concatenate(weight_blocks)[:, 0]
    X, texts_of = np.concatenate(blocks), np.array(texts, dtype=str)
    return _checked(_Table(source, X, texts_of, names, header[column], lines, weight_of), weights)


def _read_npz(source: Path, target: str | None, weights: str | None) -> _Table:
    target = target or "y"
    try:
        arrays = np.load(source, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise DataError(f"{source}: is a single array; write X and y with numpy.savez")
        with arrays:
            for name in ("X", target, weights):
                if name is not None and name not in arrays:
                    raise DataError(f"{source}: has no array {name!r}; it has {', '.join(arrays) or 'none'}")
            X, y = arrays["X"], arrays[target]
            names, target_name = arrays.get("feature_names"), str(arrays.get("target_name", target))
            weight_of = None if weights is None else arrays[weights]
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{source}: is not an NPZ file of plain arrays; write it with numpy.savez") from error
    if X.ndim != 2 or X.dtype.kind not in "fiub":
        raise DataError(f"{source}: X must be numbers of shape (samples, features), not {X.dtype} of shape {X.shape}")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != X.shape[:1] or y.dtype.kind not in "fiubU":
        raise DataError(
            f"{source}: {target} must be numbers or text of shape ({len(X)},) as X has {len(X)} rows, "
            f"not {y.dtype} of shape {y.shape}"
        )
    if weight_of is not None and (weight_of.shape != y.shape or weight_of.dtype.kind not in "fiub"):
        raise DataError(
            f"{source}: {weights} must be numbers of shape ({len(X)},) as X has {len(X)} rows, "
            f"not {weight_of.dtype} of shape {weight_of.shape}"
        )
    feature_names = tuple(str(name) for name in names) if names is not None else _default_names(X.shape[1])
    if len(feature_names) != X.shape[1]:
        raise DataError(f"{source}: has {len(feature_names)} feature_names for {X.shape[1]} columns of X")
    X = np.ascontiguousarray(X, dtype=np.float64)
    if not np.isfinite(X).all():
        row, column = (int(index) for index in np.argwhere(~np.isfinite(X))[0])
        what = f"{X[row, column]} is not a finite number"
        raise DataError(f"{source}, row {row}, column {feature_names[column]!r}: {what}")
    y = y if y.dtype.kind == "U" else y.astype(np.float64)
    weight_of = None if weight_of is None else weight_of.astype(np.float64)
    return _checked(_Table(source, X, y, feature_names, target_name, None, weight_of), weights)


def _default_names(n_features: int) -> tuple[str, ...]:
    return tuple(f"x{index + 1}" for index in range(n_features))


def _target_column(source: Path, header: Sequence[str], target: str | None, weighing: int | None) -> int:
    """Where the target stands; without a name the last column that is not the weights'."""
    if not header:
        raise DataError(f"{source}: is empty; it must begin with a header line")
    if all(_is_number(name) for name in header):
        raise DataError(f"{source}, line 1: holds numbers only; it must be a header that names the columns")
    if len(header) < 2:
        hint = "; values must be separated by commas" if ";" in header[0] or "\t" in header[0] else ""
        raise DataError(f"{source}, line 1: names one column only, features and a target are needed{hint}")
    if target is None:
        return len(header) - (2 if weighing == len(header) - 1 else 1)
    return _column(source, header, target)


def _column(source: Path, header: Sequence[str], name: str) -> int:
    if header.count(name) != 1:
        count = "no column" if name not in header else "more than one column"
        raise DataError(f"{source}: has {count} {name!r}; its columns are {', '.join(header)}")
    return header.index(name)


def _numbered_rows(reader: _CsvReader) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their last line; blank lines are left out."""
    return ((reader.line_num, row) for row in reader if row)


def _check_lengths(source: Path, rows: Iterable[tuple[int, list[str]]], n_columns: int) -> None:
    for line, row in rows:
        if len(row) != n_columns:
            raise DataError(f"{source}, line {line}: has {len(row)} values, the header names {n_columns} columns")


def _numeric_block(source: Path, rows: Sequence[tuple[int, list[str]]], names: Sequence[str]) -> NDArray[np.float64]:
    """The rows as numbers; where one is none, a slower second pass finds which."""
    try:
        block = np.array([row for _, row in rows], dtype=np.float64)
        if np.isfinite(block).all():
            return block
    except ValueError:
        pass
    for line, row in rows:
        for name, text in zip(names, row, strict=True):
            if not text.strip():
                what = "the value is missing; remove the row or fill it in"
            elif not _is_number(text):
                what = f"text {text.strip()!r} where a feature must be a number"
            elif not math.isfinite(float(text)):
                what = f"{text.strip()} is not a finite number"
            else:
                continue
            raise DataError(f"{source}, line {line}, column {name!r}: {what}")
    return np.array([[float(text) for text in row] for _, row in rows])


def _checked(table: _Table, weights: str | None) -> _Table:
    """The table with no target missing, with numbers for targets that all are numbers, and with possible weights."""
    target = table.target
    if table.weights is not None and len(table.weights):
        is_wrong = ~(np.isfinite(table.weights) & (table.weights >= 0.0))
        if is_wrong.any():
            row = int(np.argmax(is_wrong))
            raise table.error(row, f"weight {table.weights[row]:g} must be a number of 0 or more", weights)
        if not table.weights.any():
            raise DataError(f"{table.source}: all weights in {weights!r} are 0; at least one must be more")
    if target.dtype.kind == "U":
        is_missing = np.isin(target, ["", "nan", "NaN", "NAN"])
        if is_missing.any():
            raise table.error(int(np.argmax(is_missing)), "the value is missing; remove the row or fill it in")
        try:
            target = target.astype(np.float64)
        except ValueError:
            return table
    if not np.isfinite(target).all():
        row = int(np.argmin(np.isfinite(target)))
        raise table.error(row, f"{target[row]} is not a finite number")
    return replace(table, target=target)


def _looks_like_labels(target: NDArray[Any]) -> bool:
    if target.dtype.kind != "f":
        return True
    found = np.unique(target)
    n_found = len(found)
    return n_found <= MAX_CLASSES_FROM_NUMBERS and 2 * n_found <= len(target) and bool(np.all(found == np.floor(found)))


def _label_text(label: object) -> str:
    """Labels as text: 3 and 3.0 are both "3"."""
    return f"{label:.0f}" if isinstance(label, float) and label.is_integer() else str(label)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
