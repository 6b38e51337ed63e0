"""Parquet files, by pyarrow."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from p2pnet.data.table import Builder, Numbers, Table, TableRequest, Texts, builder
from p2pnet.errors import DataError


def read_parquet(source: Path, request: TableRequest) -> Table:
    """The table of a Parquet file, a group of rows at a time."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(f"{source}: .parquet needs pyarrow: pip install 'p2pnet[tables]'") from error
    try:
        with parquet.ParquetFile(source) as file:
            schema, n_rows = file.schema_arrow, file.metadata.num_rows
            names = tuple(unicodedata.normalize("NFC", name.strip()) for name in schema.names)
            target = request.target or next((n for n in reversed(names) if n != request.weights), None)
            is_text = [
                request.is_text(name, target) or not _is_number(field.type)
                for name, field in zip(names, schema, strict=True)
            ]
            builders: list[Builder] = [builder("texts" if text else "numbers") for text in is_text]
            for batch in file.iter_batches():
                for whole, text, cells in zip(builders, is_text, batch.columns, strict=True):
                    whole.add(_texts(cells) if text else _numbers(cells))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{source}: is no Parquet file that can be read: {error}") from error
    return Table(str(source), names, [whole.column() for whole in builders], n_rows, target)


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def _numbers(cells: Any) -> Numbers:
    import pyarrow as pa

    return Numbers(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64, copy=False))


def _texts(cells: Any) -> Texts:
    """Values as they would stand in a CSV file; a gap is an empty text."""
    import pyarrow as pa

    encoded = cells.cast(pa.string()).fill_null("").dictionary_encode()
    levels = tuple(level.strip() for level in encoded.dictionary.to_pylist())
    return Texts(levels, encoded.indices.to_numpy().astype(np.int32, copy=False))
