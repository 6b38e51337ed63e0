"""Text files as people write them: encoding, delimiter and decimal mark, found out where they are not set."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, final

import numpy as np

from p2pnet.data.table import TableRequest
from p2pnet.errors import DataError

SAMPLE_BYTES: Final = 2**18
"""Of the beginning of a file, from which its format is found out."""

DELIMITERS: Final = (",", ";", "\t", "|")

BLOCK_BYTES: Final = 2**23

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECIMAL_COMMA: Final = re.compile(r"[+-]?[0-9]+,[0-9]+")
_DECIMAL_POINT: Final = re.compile(r"[+-]?[0-9]+\.[0-9]+")


@final
@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a file's text is to be read."""

    encoding: str
    delimiter: str
    decimal: str

    def __str__(self) -> str:
        delimiter = {"\t": "tab"}.get(self.delimiter, repr(self.delimiter))
        return f"encoding {self.encoding}, delimiter {delimiter}, decimal {self.decimal!r}"


def possible_encodings(asked: str, sample: bytes) -> tuple[str, ...]:
    """The encodings to try in this order: the one asked for, or those that the beginning of the file allows."""
    if asked != "auto":
        try:
            codecs.lookup(asked)
        except LookupError:
            raise DataError(f"encoding {asked!r} is not known; use utf-8, utf-16, latin-1 or cp1252") from None
        return ("utf-8-sig",) if codecs.lookup(asked).name == "utf-8" else (asked,)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if sample.startswith(mark):
            return (encoding,)
    zeros = sample[0::2].count(0), sample[1::2].count(0)
    if max(zeros) > len(sample) // 8:
        return ("utf-16-be",) if zeros[0] > zeros[1] else ("utf-16-le",)
    return "utf-8", "cp1252", "latin-1"


def text_format(request: TableRequest, encoding: str, sample: bytes) -> TextFormat:
    """The format of a file that begins with these bytes; UnicodeDecodeError where they are not of the encoding."""
    text = codecs.getincrementaldecoder(encoding)().decode(sample)
    if len(sample) >= SAMPLE_BYTES:
        text = text[: text.rfind("\n") + 1]
    delimiter = request.delimiter
    if delimiter == "auto":
        # The one that gives the most columns, the same number in every row; the comma where none does.
        widths = {each: _width(text, each) for each in DELIMITERS}
        delimiter = max(DELIMITERS, key=lambda each: widths[each])
    decimal = request.decimal
    if decimal == "auto":
        cells = [cell.strip() for row in _rows(text, delimiter) for cell in row]
        has_commas = any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells)
        is_comma = delimiter != "," and has_commas and not any(_DECIMAL_POINT.fullmatch(cell) for cell in cells)
        decimal = "," if is_comma else "."
    return TextFormat(encoding, delimiter, decimal)


def _width(text: str, delimiter: str) -> tuple[float, int]:
    """(share of rows with as many columns as the first one, number of columns); (0, 0) for a single column."""
    widths = [len(row) for row in _rows(text, delimiter)]
    if not widths or widths[0] < 2:
        return 0.0, 0
    return (1.0 if widths.count(widths[0]) > 0.9 * len(widths) else 0.5), widths[0]


def _rows(text: str, delimiter: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error:
        return []


def open_bytes(source: Path) -> BinaryIO:
    """The content of a file, unpacked where its name ends in .gz or .zst; DataError where that cannot be done here."""
    suffix = source.suffix.lower()
    if suffix == ".gz":
        return gzip.open(source)  # type: ignore[return-value]
    if suffix != ".zst":
        return source.open("rb")
    try:
        import pyarrow as pa
    except ImportError as error:
        raise DataError(f"{source}: .zst needs pyarrow: pip install 'p2pnet[tables]'") from error
    return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(source)), "zstd"), 2**20)


def blocks(stream: BinaryIO, encoding: str, size_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Whole lines as UTF-8, some 8 MB at a time; a line end within quotes ends no block.

    UnicodeDecodeError where the content is not of the encoding.
    """
    is_utf8 = encoding in ("utf-8", "utf-8-sig")
    decoder = codecs.getincrementaldecoder(encoding)()
    rest, is_first = b"", True
    while content := stream.read(size_bytes):
        if is_first and encoding == "utf-8-sig":
            content = content.removeprefix(codecs.BOM_UTF8)
        is_first = False
        rest += content if is_utf8 else decoder.decode(content).encode()
        end = _end_of_lines(rest)
        if end:
            yield rest[:end]
            rest = rest[end:]
    rest += b"" if is_utf8 else decoder.decode(b"", final=True).encode()
    if rest:
        yield rest


def _end_of_lines(content: bytes) -> int:
    """The end of the last line that ends outside of quotes, as far as quotes can be paired; 0 where there is none."""
    end = content.rfind(b"\n") + 1
    n_quotes = n_occurrences(b'"', memoryview(content)[:end])
    while end and n_quotes % 2:
        before = content.rfind(b"\n", 0, end - 1) + 1
        n_quotes -= content.count(b'"', before, end)
        end = before
    return end


def n_occurrences(byte: bytes, content: bytes | memoryview) -> int:
    """How often a byte occurs; `bytes.count` takes several times as long where it occurs often."""
    return int(np.count_nonzero(np.frombuffer(content, np.uint8) == ord(byte)))
