"""From a table to samples: what each column is for, and all that is wrong with it in one list."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.catalogue.losses import Task
from p2pnet.data.cells import in_natural_order, is_missing, label_text, plain_number
from p2pnet.data.columns import CheckedColumns, as_texts
from p2pnet.data.encoding import EncodedColumn, Encoding, MissingRule
from p2pnet.data.flaws import Flaw, as_error, named
from p2pnet.data.samples import Samples, in_order
from p2pnet.data.splitting import Split
from p2pnet.data.suspicions import suspicions
from p2pnet.data.table import Numbers, Table, Texts
from p2pnet.data.window import Window
from p2pnet.errors import DataError

TaskChoice: TypeAlias = Literal["auto", "regression", "classification"]

MAX_CLASSES_FROM_NUMBERS: Final = 20


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """What the columns of a table are for."""

    target: str | None = None
    """the column to predict; None: the one that the format has for it"""
    weights: str | None = None
    features: tuple[str, ...] | None = None
    """the inputs in their order; None: all other columns, sorted by name"""
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    missing: MissingRule = "refuse"
    task: TaskChoice = "auto"
    classes: tuple[str, ...] | None = None
    """all labels in order; None: those found"""
    split: Split | None = None
    """into rows to train on and others, which may be by a column"""
    window: Window | None = None
    """the newest rows, of which alone there are samples; None: all"""

    @property
    def times(self) -> str | None:
        """The column of the times by which rows are new; None for the order of the rows."""
        if self.window is None or self.window.by is not None or self.window.unit == "rows":
            return None if self.window is None else self.window.by
        if self.split is not None and self.split.time is not None:
            return self.split.time
        return self.dates[0] if len(self.dates) == 1 else None


def samples_of(table: Table, roles: Roles) -> Samples:
    """The samples of a table; DataError lists all that keeps it from being trained on."""
    return _Reading(table, roles).samples()


class _Reading:
    """One table on its way to samples."""

    def __init__(self, table: Table, roles: Roles) -> None:
        self.table, self.roles = table, roles
        self.values = CheckedColumns(table)
        ignored = {*roles.ignore}
        self.flaws = self.values.flaws
        self.flaws += [each for each in table.flaws if each.column is None or each.column not in ignored]
        self.target_name = roles.target if roles.target is not None else table.target
        self.is_lacking_columns = False
        self.encoding = Encoding(self._columns(ignored), roles.missing)

    def samples(self) -> Samples:
        table, roles, values = self.table, self.roles, self.values
        if self.is_lacking_columns:
            # All else would follow from that.
            raise as_error(table.source, self.flaws)
        if not table.n_rows and not self.flaws:
            raise DataError(f"{table.source}: has no rows")
        for column in self.encoding.columns:
            if table.count(column.name) == 1:
                values.take(column)
        if roles.missing == "refuse":
            self._refuse_gaps()
        task, target = self._target()
        weights = self._weights()
        split_keys, times = self._split_keys(), self._times()
        if self.flaws:
            raise as_error(table.source, self.flaws)
        notes = [*table.notes, *self._leave_out(self._is_target_missing(target), times)]
        X = self.encoding.numeric(values)
        categories = tuple(values.category(column.name) for column in self.encoding.categories)
        Y, classes = self._encoded(task, target)
        samples = Samples(
            X,
            Y,
            task,
            classes,
            self.encoding.numeric_inputs,
            self.target_name or "",
            None if weights is None else np.asarray(values.kept(weights), dtype=np.float64),
            None if self.encoding.is_plain else self.encoding,
            categories,
            tuple(notes),
            table.shape if self._is_of_whole_samples() else (),
            None if split_keys is None else np.asarray(values.kept(split_keys), dtype=np.float64),
        )
        return _with_notes(samples, suspicions(samples))

    # Columns.

    def _columns(self, ignored: set[str]) -> tuple[EncodedColumn, ...]:
        table, roles = self.table, self.roles
        known = set(table.names)
        split_name = None if roles.split is None else roles.split.name
        singles = (
            (self.target_name, "target"),
            (roles.weights, "weights"),
            (split_name, "split"),
            (None if roles.window is None else roles.window.by, "window"),
        )
        for name, setting in singles:
            if name is not None and name not in known:
                self._absent(name, f"data.{setting}")
            elif name is not None and table.count(name) > 1:
                self.flaws.append(Flaw(f"there is more than one column {name!r}; give each its own name"))
        apart = {self.target_name, roles.weights}
        apart |= {split_name, roles.times} - {*(roles.features or ()), *roles.dates}
        features: Sequence[str]
        if roles.features is not None:
            features = roles.features
        elif table.are_names_given:
            features = sorted(known - apart - ignored, key=in_natural_order)
        else:
            features = [name for name in table.names if name not in apart | ignored]
        for setting in ("features", "categorical", "dates"):
            for name in getattr(roles, setting) or ():
                if name not in known and name not in ignored:
                    self._absent(name, f"data.{setting}")
                if name in apart:
                    self.flaws.append(Flaw(f"column {name!r} is the target or weights, and in data.{setting} too"))
        if not features:
            what = "no column is left to learn from; name some in data.features"
            if len(table.names) == 1:
                what = (
                    f"has one column only, {table.names[0]!r}; set data.delimiter if another one separates its values"
                )
            self.flaws.append(Flaw(what))
            self.is_lacking_columns = True
        both = {*roles.categorical} & {*roles.dates}
        self.flaws += [Flaw(f"column {name!r} is in data.categorical and in data.dates") for name in sorted(both)]
        return tuple(EncodedColumn(name, self._kind(name)) for name in dict.fromkeys(features))

    def _kind(self, name: str) -> Literal["number", "date", "category"]:
        if name in self.roles.categorical:
            return "category"
        return "date" if name in self.roles.dates else "number"

    def _is_of_whole_samples(self) -> bool:
        """Whether the inputs are the numbers of samples of a shape, all of them and in their order."""
        names = tuple(f"x{place + 1}" for place in range(math.prod(self.table.shape)))
        return self.encoding.is_plain and self.encoding.names == names

    def _absent(self, name: str, setting: str) -> None:
        text = f"has no column {name!r}, which {setting} names; its columns are {', '.join(self.table.names)}"
        self.flaws.append(Flaw(text))
        self.is_lacking_columns = True

    def _refuse_gaps(self) -> None:
        for name, rows in self.values.gaps.items():
            where = named(self.table.places(rows), len(rows))
            text = f'column {name!r}: the value is missing in {where}; missing = "mean" takes the mean of the network, '
            text += '"indicator" says so to the model as well, "drop" leaves out those rows'
            self.flaws.append(Flaw(text, {"missing": "mean"}, name))

    # Target and weights.

    def _target(self) -> tuple[Task, Texts | NDArray[np.float64]]:
        """The task, and the target as labels or numbers of all rows."""
        table, roles = self.table, self.roles
        if self.target_name is None or table.count(self.target_name) != 1:
            return "regression", np.empty(0)
        column = table.column(self.target_name)
        numbers = _as_plain_numbers(column, table.decimal)
        task = roles.task
        if task == "auto":
            is_text = numbers is None or roles.classes is not None
            task = "classification" if is_text or _are_labels(numbers) else "regression"
        if task == "classification":
            labels = column if isinstance(column, Texts) else as_texts(column)
            self._check_labels(labels)
            return task, labels
        if numbers is None:
            text, rows = _other_texts(column, table.decimal)
            where = named(table.places(rows), len(rows))
            self.flaws.append(
                Flaw(f"column {self.target_name!r}: text {text!r} in {where} where task regression needs a number")
            )
            return task, np.empty(0)
        self._check_values(numbers)
        return task, numbers

    def _check_labels(self, labels: Texts) -> None:
        known = None if self.roles.classes is None else {*self.roles.classes}
        if known is not None:
            for code, text in enumerate(labels.levels):
                if label_text(text) not in known and not is_missing(text):
                    rows = np.flatnonzero(labels.codes == code)
                    where = named(self.table.places(rows), len(rows))
                    classes = ", ".join(self.roles.classes or ())
                    what = f"label {label_text(text)!r} in {where} is none of the classes {classes}"
                    self.flaws.append(Flaw(f"column {self.target_name!r}: {what}"))
        self._check_target_gaps(np.flatnonzero(self._is_label_missing(labels)))

    def _check_values(self, numbers: NDArray[np.float64]) -> None:
        is_infinite = np.isinf(numbers)
        if is_infinite.any():
            rows = np.flatnonzero(is_infinite)
            what = f"{numbers[rows[0]]} in {named(self.table.places(rows), len(rows))} is no finite number"
            self.flaws.append(Flaw(f"column {self.target_name!r}: {what}"))
        self._check_target_gaps(np.flatnonzero(np.isnan(numbers)))

    def _check_target_gaps(self, rows: NDArray[np.intp]) -> None:
        if not len(rows) or self.roles.missing != "refuse":
            return
        where = named(self.table.places(rows), len(rows))
        text = f'column {self.target_name!r}: the target is missing in {where}; missing = "drop" leaves out those rows'
        text += ", and a label that is called so must stand in classes"
        self.flaws.append(Flaw(text, {"missing": "drop"}))

    def _is_target_missing(self, target: Texts | NDArray[np.float64]) -> NDArray[np.bool_]:
        return self._is_label_missing(target) if isinstance(target, Texts) else np.isnan(target)

    def _is_label_missing(self, labels: Texts) -> NDArray[np.bool_]:
        known = self.roles.classes or ()
        is_gap = np.array([is_missing(text) and label_text(text) not in known for text in labels.levels], dtype=bool)
        missing: NDArray[np.bool_] = is_gap[labels.codes] if len(is_gap) else np.empty(0, dtype=bool)
        return missing

    def _weights(self) -> NDArray[np.float64] | None:
        name = self.roles.weights
        if name is None or self.table.count(name) != 1:
            return None
        gaps = dict(self.values.gaps)
        weights = self.values.as_numbers(name)
        self.values.gaps = gaps
        is_wrong = ~(np.isfinite(weights) & (weights >= 0.0))
        if is_wrong.any():
            row = int(np.argmax(is_wrong))
            what = f"weight {weights[row]:g} in {self.table.place(row)} must be a number of 0 or more"
            self.flaws.append(Flaw(f"column {name!r}: {what}"))
        elif len(weights) and not weights.any():
            self.flaws.append(Flaw(f"all weights in {name!r} are 0; at least one must be more"))
        return weights

    def _split_keys(self) -> NDArray[np.float64] | None:
        split = self.roles.split
        if split is None or split.name is None or self.table.names.count(split.name) != 1:
            return None
        needed = "neither train, validation nor test" if split.column is not None else "neither date nor number"
        return self._keys(split.name, split.keys, needed, "data.split")

    def _times(self) -> NDArray[np.float64] | None:
        """The times by which rows are new enough; None where that is by their order, or all are."""
        window, name = self.roles.window, self.roles.times
        if window is None or (name is None and window.unit == "rows"):
            return None
        if name is None:
            what = 'data.window is in days, and there is not one column of dates; name it, as in "30 days by admitted"'
            self.flaws.append(Flaw(what))
            return None
        if self.table.names.count(name) != 1:
            return None
        needed = "no date" if window.unit == "days" else "neither date nor number"
        return self._keys(name, window.keys, needed, "data.window")

    def _keys(
        self,
        name: str,
        keys_of: Callable[[Texts, str], tuple[NDArray[np.float64], NDArray[np.intp]]],
        needed: str,
        setting: str,
    ) -> NDArray[np.float64]:
        """What a setting takes from the texts of a column."""
        column = self.table.column(name)
        texts = column if isinstance(column, Texts) else as_texts(column)
        keys, rows = keys_of(texts, self.table.decimal)
        if len(rows):
            text, where = texts.levels[texts.codes[rows[0]]], named(self.table.places(rows), len(rows))
            self.flaws.append(Flaw(f"column {name!r}: {text!r} in {where} is {needed}; {setting} is by it"))
        return keys

    # What remains.

    def _leave_out(self, is_target_missing: NDArray[np.bool_], times: NDArray[np.float64] | None) -> list[str]:
        """Keep the rows that can be trained on, and are new enough; a note for each reason why others are not."""
        gaps: dict[str, NDArray[np.intp]] = {self.target_name or "": np.flatnonzero(is_target_missing)}
        if self.roles.missing == "drop":
            gaps |= self.values.gaps
        gaps = {name: rows for name, rows in gaps.items() if len(rows)}
        notes = [f"column {name!r}: {len(rows)} rows without a value are left out" for name, rows in gaps.items()]
        if self.roles.missing in ("mean", "indicator"):
            for name, rows in self.values.gaps.items():
                notes.append(f"column {name!r}: {len(rows)} of {self.table.n_rows} values are missing")
        window = self.roles.window
        if not gaps and window is None:
            return notes
        is_kept = np.ones(self.table.n_rows, dtype=bool)
        for rows in gaps.values():
            is_kept[rows] = False
        if not is_kept.any():
            raise DataError(f"{self.table.source}: no row has a value in all columns; {'; '.join(notes)}")
        if window is not None:
            rows = np.flatnonzero(is_kept)
            is_newest = window.newest(np.arange(len(rows), dtype=np.float64) if times is None else times[rows])
            is_kept[rows[~is_newest]] = False
            notes.append(f"data.window: the newest {is_newest.sum()} of {len(rows)} rows are read")
        self.values.keep(is_kept)
        return notes

    def _encoded(self, task: Task, target: Texts | NDArray[np.float64]) -> tuple[NDArray[Any], tuple[str, ...]]:
        """Targets as Samples has them, and the classes."""
        if not isinstance(target, Texts):
            return np.asarray(self.values.kept(target), dtype=np.float64).reshape(-1, 1), ()
        codes = np.asarray(self.values.kept(target.codes))
        labels = [label_text(text) for text in target.levels]
        classes = self.roles.classes or in_order({labels[code] for code in np.unique(codes)})
        index_of = {label: index for index, label in enumerate(classes)}
        indices = np.array([index_of.get(label, -1) for label in labels], dtype=np.intp)
        return indices[codes], tuple(classes)


def _as_plain_numbers(column: Numbers | Texts, decimal: str) -> NDArray[np.float64] | None:
    """The target's numbers, not a number where it is missing; None where one is another text."""
    if isinstance(column, Numbers):
        return None if len(column.text_rows) else column.values
    numbers = [np.nan if is_missing(text) else plain_number(text, decimal) for text in column.levels]
    if any(number is None for number in numbers):
        return None
    return np.array(numbers, dtype=np.float64)[column.codes] if numbers else np.empty(0)


def _other_texts(column: Numbers | Texts, decimal: str) -> tuple[str, NDArray[np.intp]]:
    """(the first text, rows) of the cells that are neither numbers nor missing."""
    if isinstance(column, Numbers):
        return column.texts[0], column.text_rows
    is_text = np.array([plain_number(text, decimal) is None and not is_missing(text) for text in column.levels])
    found = np.flatnonzero(is_text[column.codes])
    return column.levels[column.codes[found[0]]], found


def _are_labels(numbers: NDArray[np.float64] | None) -> bool:
    """Whether numbers look like labels: few whole ones, that come twice on average."""
    if numbers is None:
        return True
    found = np.unique(numbers[~np.isnan(numbers)])
    is_few = len(found) <= MAX_CLASSES_FROM_NUMBERS and 2 * len(found) <= len(numbers)
    return is_few and bool(np.all(found == np.floor(found)))


def _with_notes(samples: Samples, notes: Sequence[str]) -> Samples:
    return replace(samples, notes=(*samples.notes, *notes)) if notes else samples
