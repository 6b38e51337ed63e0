"""The table that a reader returns: checked features and a target, which becomes values or labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.samples import Samples, is_number
from p2pnet.errors import DataError

MAX_CLASSES_FROM_NUMBERS = 20


@dataclass(frozen=True, slots=True)
class Table:
    """Checked features, and a target not yet interpreted: float64 where all are numbers, else text."""

    source: Path
    X: NDArray[np.float64]
    target: NDArray[Any]
    feature_names: tuple[str, ...]
    target_name: str
    lines: Sequence[int] | None
    """Line of each row in a .csv; None for an .npz, whose rows are counted from 0."""
    weights: NDArray[np.float64] | None

    @property
    def has_labels(self) -> bool:
        """Whether the target looks like labels: text, or few whole numbers that come twice on average."""
        if self.target.dtype.kind != "f":
            return True
        found = np.unique(self.target)
        n_found = len(found)
        is_few = n_found <= MAX_CLASSES_FROM_NUMBERS and 2 * n_found <= len(self.target)
        return is_few and bool(np.all(found == np.floor(found)))

    def with_values(self) -> Samples:
        """Interpret the target as values (regression); DataError where it is text."""
        if self.target.dtype.kind != "f":
            row = next(row for row, text in enumerate(self.target) if not is_number(text))
            raise self.error(row, f"text {str(self.target[row])!r} where task regression needs a number")
        Y = self.target.reshape(-1, 1)
        return Samples(self.X, Y, "regression", (), self.feature_names, self.target_name, self.weights)

    def with_labels(self, classes: Sequence[str] | None) -> Samples:
        """Interpret the target as labels, in `classes` if given; DataError for a label that is none of them."""
        found, codes = np.unique(self.target, return_inverse=True)
        labels = [label_text(label) for label in found]
        if classes is None:
            classes = labels
        is_numeric = self.target.dtype.kind == "f"
        index_of = {
            label_text(float(label)) if is_numeric and is_number(label) else label: index
            for index, label in enumerate(classes)
        }
        for code, label in enumerate(labels):
            if label not in index_of:
                row = int(np.argmax(codes == code))
                raise self.error(row, f"label {label!r} is none of the classes {', '.join(classes)}")
        Y = np.array([index_of[label] for label in labels], dtype=np.intp)[codes]
        return Samples(self.X, Y, "classification", tuple(classes), self.feature_names, self.target_name, self.weights)

    def error(self, row: int, what: str, column: str | None = None) -> DataError:
        """The DataError for a row's target, or for its value in another column."""
        place = f"row {row}" if self.lines is None else f"line {self.lines[row]}"
        return DataError(f"{self.source}, {place}, column {column or self.target_name!r}: {what}")


def checked(table: Table, weights: str | None) -> Table:
    """Check a table: no target missing, numeric targets converted, weights valid."""
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


def label_text(label: object) -> str:
    """Labels as text: 3 and 3.0 are both "3"."""
    return f"{label:.0f}" if isinstance(label, float) and label.is_integer() else str(label)
