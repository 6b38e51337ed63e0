"""CSV files with a header line."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from p2pnet.data.cells import number_of
from p2pnet.data.flaws import Flaw
from p2pnet.data.readers.blocks import BlockParser, PlainParser
from p2pnet.data.readers.text_format import (
    SAMPLE_BYTES,
    TextFormat,
    blocks,
    open_bytes,
    possible_encodings,
    text_format,
)
from p2pnet.data.table import Table, TableRequest, builder
from p2pnet.errors import DataError


def read_csv(source: Path, request: TableRequest) -> Table:
    """The table of a CSV file, packed or not, with whatever parser is the fastest here."""
    try:
        with open_bytes(source) as stream:
            sample = stream.read(SAMPLE_BYTES)
        for encoding in possible_encodings(request.encoding, sample):
            try:
                return _read(source, request, text_format(request, encoding, sample))
            except UnicodeDecodeError:
                continue
    except EOFError as error:
        raise DataError(f"{source}: ends too early; it is not whole") from error
    raise DataError(f"{source}: is not {request.encoding} text; set encoding in [data], or leave it to be found out")


def _read(source: Path, request: TableRequest, file_format: TextFormat) -> Table:
    with open_bytes(source) as stream:
        contents = blocks(stream, file_format.encoding)
        first = next(contents, b"")
        try:
            header, n_header_lines, rest = _header(first, file_format)
        except csv.Error as error:
            raise DataError(f"{source}, in its header: is not CSV: {error}") from error
        names, flaws = _names(source, header, n_header_lines)
        target = _target(names, request)
        kinds = ["texts" if request.is_text(name, target) else "numbers" for name in names]
        parser = _parser(file_format, len(names), frozenset(k for k, kind in enumerate(kinds) if kind == "texts"))
        builders = [builder("texts" if kind == "texts" else "numbers") for kind in kinds]
        lines, line = [np.empty(0, dtype=np.int64)], n_header_lines + 1
        for content in filter(None, chain([rest], contents)):
            block = parser.parse(content, line)
            for whole, part in zip(builders, block.columns, strict=True):
                whole.add(part)
            lines.append(block.lines)
            flaws += block.flaws
            line += block.n_lines
        parser.close()
    all_lines = np.concatenate(lines)
    notes = [] if file_format == TextFormat("utf-8", ",", ".") else [f"read with {file_format}"]
    columns = [whole.column() for whole in builders]
    return Table(
        str(source), names, columns, len(all_lines), target, (), all_lines, flaws, notes, decimal=file_format.decimal
    )


def _header(first: bytes, file_format: TextFormat) -> tuple[list[str], int, bytes]:
    """(cells of the header, its lines, what follows); lines before it that are empty count as its lines."""
    text = io.StringIO(first.decode(), newline="")
    reader = csv.reader(text, delimiter=file_format.delimiter, strict=True)
    for cells in reader:
        if cells:
            break
    else:
        return [], 0, b""
    n_lines = reader.line_num
    end = 0
    for _ in range(n_lines):
        end = (first.find(b"\n", end) + 1) or len(first)
    return cells, n_lines, first[end:]


def _names(source: Path, header: Sequence[str], line: int) -> tuple[tuple[str, ...], list[Flaw]]:
    """The names of the columns, and what is wrong with them; DataError where that is all that can be said."""
    names = tuple(unicodedata.normalize("NFC", name.strip()) for name in header)
    if not names:
        raise DataError(f"{source}: is empty; it must begin with a header line")
    if all(number_of(name) is not None for name in names):
        raise DataError(f"{source}, line {line}: holds numbers only; it must be a header that names the columns")
    flaws = [
        Flaw(f"line {line}: {names.count(name)} columns are called {name!r}; give each its own name", column=name)
        for name in sorted(set(names))
        if name and names.count(name) > 1
    ]
    named = list(names)
    for place, name in enumerate(names):
        if not name:
            named[place] = called = f"column {place + 1}"
            text = f"line {line}: {called} has no name, as an index has none; give it one, or ignore = [{called!r}]"
            flaws.append(Flaw(text.replace("'", '"'), {"ignore": [called]}, called))
    return tuple(named), flaws


def _target(names: Sequence[str], request: TableRequest) -> str:
    """The target that is asked for, or the last column that is not the weights'."""
    if request.target is not None:
        return request.target
    *_, last = [name for name in names if name != request.weights]
    return last


def _parser(file_format: TextFormat, n_columns: int, texts: frozenset[int]) -> BlockParser:
    try:
        from p2pnet.data.readers.arrow_blocks import ArrowParser
    except ImportError:
        return PlainParser(file_format, n_columns, texts)
    return ArrowParser(file_format, n_columns, texts)
