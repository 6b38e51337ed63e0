"""Files of rows to predict for, with a target or without."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from p2pnet.data.flaws import as_error
from p2pnet.data.frame import Column, Frame
from p2pnet.data.reading import read_table
from p2pnet.data.table import Column as TableColumn
from p2pnet.data.table import Numbers, TableRequest


def read_frame(source: Path, texts: Collection[str] = ()) -> Frame:
    """The rows of a file in any format that samples are read from; `texts` are columns to be read as text.

    In a .npz without feature_names columns are told by their place.
    """
    # A target that is there is found by its name, which may be that of any column.
    table = read_table(source, TableRequest(texts=frozenset(texts), is_target_text=False))
    if table.flaws:
        raise as_error(table.source, table.flaws)
    names: tuple[str, ...] | None = table.names
    columns = [_values(column) for column in table.columns]
    target = None
    if not table.are_names_given:
        if table.target in table.names:
            place = table.names.index(table.target)
            target = (table.target, columns.pop(place))
        names = None
    lines = None if table.lines is None else table.lines.tolist()
    return Frame(table.source, names, columns, table.n_rows, lines, target)


def _values(column: TableColumn) -> Column:
    if not isinstance(column, Numbers):
        return np.array(column.levels, dtype=object)[column.codes] if column.levels else np.empty(0, dtype=object)
    if not len(column.text_rows):
        return column.values
    values = column.values.astype(object)
    values[column.text_rows] = "text"
    for row, text in zip(column.text_rows, column.texts, strict=False):
        values[row] = text
    return values
