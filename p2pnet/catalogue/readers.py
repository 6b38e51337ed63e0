"""Readers of tables by the suffixes of their files."""

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, final

from p2pnet.catalogue.registry import Entry, Registry

PACKED: Final = (".gz", ".zst")
"""Suffixes of packed text files, behind the one that names the reader."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderEntry(Entry):
    """A reader; its name is the suffix of its files without the dot, in lower case.

    Its target takes the path and a `data.table.TableRequest`, and gives a `data.table.Table`.
    """

    contents: str
    """what its files hold, as in `with a header line`"""
    may_be_packed: bool = False
    """whether it reads .gz and .zst as well"""


_CSV: Final = "p2pnet.data.readers.csv_reader:read_csv"

READERS: Final = Registry(
    "reader",
    "p2pnet.readers",
    ReaderEntry,
    (
        ReaderEntry(name="csv", target=_CSV, contents="with a header line", may_be_packed=True),
        ReaderEntry(name="tsv", target=_CSV, contents="with a header line", may_be_packed=True),
        ReaderEntry(name="npz", target="p2pnet.data.readers.npz_reader:read_npz", contents="with X and y"),
        ReaderEntry(
            name="parquet", target="p2pnet.data.readers.parquet_reader:read_parquet", contents="with named columns"
        ),
    ),
)


FUNCTION: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""What names a function of one's own that returns rows, instead of a file."""


def is_function(path: PurePath) -> bool:
    """Whether a source is `package.module:function`."""
    return FUNCTION.fullmatch(path.name) is not None


def reader_name(path: PurePath) -> str:
    """The name of the reader for a file; None without any."""
    suffix = path.suffix.lower()
    if suffix in PACKED:
        inner = path.with_suffix("").suffix.lower().removeprefix(".")
        return inner if inner in READERS and READERS[inner].may_be_packed else suffix.removeprefix(".")
    return suffix.removeprefix(".")


def has_reader(path: PurePath) -> bool:
    """Whether a reader for a file exists."""
    return reader_name(path) in READERS


def suffixes() -> str:
    """The suffixes of all readable files as text, as in `.csv or .npz`."""
    *most, last = (f".{name}" for name in READERS.names)
    return f"{', '.join(most)} or {last}" if most else last
