"""Settings of section [data] under which a file can be trained on, each with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.cells import days_of, has_comma, is_missing, number_of
from p2pnet.data.columns import ADVICE_ON_COMMAS, as_texts, is_identifying
from p2pnet.data.flaws import named
from p2pnet.data.reading import read_table
from p2pnet.data.suspicions import is_identifier
from p2pnet.data.table import Numbers, Table, TableRequest, Texts

MOSTLY: Final = 0.8
"""A column of which so many values are numbers is meant to be one of numbers."""


@final
@dataclass(frozen=True, slots=True)
class Suggestion:
    """Settings by name, with the reason for each, and what no setting can solve."""

    settings: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def add(self, setting: str, column: str, reason: str) -> None:
        """Add a column to a list."""
        self.settings.setdefault(setting, []).append(column)
        self.because(setting, f"{column}: {reason}")

    def set(self, setting: str, value: object, reason: str) -> None:
        """Set what is one value."""
        self.settings[setting] = value
        self.because(setting, reason)

    def because(self, setting: str, reason: str) -> None:
        """Add a reason."""
        self.reasons.setdefault(setting, []).append(reason)


def suggest(source: Path, request: TableRequest) -> Suggestion:
    """What the columns of a file look like; the target is the one that is asked for, or the last column."""
    table = read_table(source, TableRequest(**{**_fields(request), "texts": None}))
    suggestion = Suggestion()
    suggestion.remarks.extend(each.text for each in table.flaws if not each.settings)
    target = request.target or table.target
    for setting in ("encoding", "delimiter", "decimal"):
        if getattr(request, setting) != "auto":
            suggestion.set(setting, getattr(request, setting), "as asked for")
    has_gaps = False
    for name, column in zip(table.names, table.columns, strict=True):
        if table.names.count(name) > 1:
            continue
        texts = as_texts(column) if isinstance(column, Numbers) else column
        gaps = texts.missing_rows()
        if name == target:
            _suggest_target(suggestion, table, name, texts, gaps, is_asked=request.target is not None)
        elif name != request.weights:
            is_input = _suggest_column(suggestion, table, name, texts)
            has_gaps |= is_input and len(gaps) > 0
            if is_input and len(gaps):
                suggestion.because("missing", f"{name}: {named(table.places(gaps), len(gaps))} without a value")
    if has_gaps:
        suggestion.settings["missing"] = "mean"
    if request.weights is not None:
        suggestion.set("weights", request.weights, "as asked for")
    return suggestion


def _fields(request: TableRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in TableRequest.__dataclass_fields__}


def _suggest_target(
    suggestion: Suggestion, table: Table, name: str, texts: Texts, gaps: NDArray[np.intp], *, is_asked: bool
) -> None:
    suggestion.set("target", name, "as asked for" if is_asked else "the last column; name another with --target")
    known = [text for text in texts.levels if not is_missing(text)]
    if known and all(days_of(text) is not None for text in known):
        suggestion.remarks.append(f"column {name!r} has dates: is it the target? Name it with --target")
    if len(gaps):
        suggestion.set("missing", "drop", f"{name}: {named(table.places(gaps), len(gaps))} without a target")


def _suggest_column(suggestion: Suggestion, table: Table, name: str, texts: Texts) -> bool:
    """Whether the column is to be an input."""
    known = [place for place, text in enumerate(texts.levels) if not is_missing(text)]
    counts = np.bincount(texts.codes, minlength=len(texts.levels))
    n_known = int(counts[known].sum()) if known else 0
    unnamed = [each for each in table.flaws if each.column == name and "ignore" in each.settings]
    if unnamed:
        suggestion.add("ignore", name, "has no name, as an index has none")
        return False
    if not n_known:
        suggestion.add("ignore", name, "has no value at all")
        return False
    numbers = {place: number_of(texts.levels[place], table.decimal) for place in known}
    others = [place for place in known if numbers[place] is None]
    if not others:
        values = np.array([numbers.get(code, np.nan) for code in texts.codes[:2000].tolist()], dtype=np.float64)
        if is_identifier(name, values):
            suggestion.add("ignore", name, "looks like an identifier or a row number")
            return False
        return True
    if all(days_of(texts.levels[place]) is not None for place in known):
        suggestion.add("dates", name, f"dates such as {texts.levels[known[0]]}")
        return True
    n_others = int(counts[others].sum())
    have_commas = all(has_comma(texts.levels[place]) for place in others)
    if have_commas or n_others <= (1 - MOSTLY) * n_known:
        rows = np.flatnonzero(np.isin(texts.codes, others))
        text = texts.levels[texts.codes[rows[0]]]
        where = named(table.places(rows), len(rows))
        advice = ADVICE_ON_COMMAS if have_commas else "empty it where it is none"
        suggestion.remarks.append(f"column {name!r}: text {text!r} in {where} among numbers; {advice}")
        return True
    if is_identifying(len(known), n_known):
        suggestion.add("ignore", name, f"{len(known)} different texts in {n_known} rows: an identifier, or free text")
        return False
    suggestion.add("categorical", name, f"{len(known)} level{'s' * (len(known) > 1)}, such as {texts.levels[known[0]]}")
    return True
