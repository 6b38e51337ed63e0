"""Readers of samples by the suffixes of their files."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, final

from p2pnet.catalogue.registry import Entry, Registry


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderEntry(Entry):
    """A reader; its name is the suffix of its files without the dot, in lower case.

    Its target takes the path, the name of the target's column (None: the default) and that of the weights' column
    (None: no weights), and gives a `data.table.Table`.
    """

    contents: str
    """what its files hold, as in `with a header line`"""


READERS: Final = Registry(
    "reader",
    "p2pnet.readers",
    ReaderEntry,
    (
        ReaderEntry(name="csv", target="p2pnet.data.readers.csv_reader:read_csv", contents="with a header line"),
        ReaderEntry(name="npz", target="p2pnet.data.readers.npz_reader:read_npz", contents="with X and y"),
    ),
)


def reader_name(path: PurePath) -> str:
    """The name of the reader for a file; None without any."""
    return path.suffix.lower().removeprefix(".")


def has_reader(path: PurePath) -> bool:
    """Whether a reader for a file exists."""
    return reader_name(path) in READERS


def suffixes() -> str:
    """The suffixes of all readable files as text, as in `.csv or .npz`."""
    *most, last = (f".{name}" for name in READERS.names)
    return f"{', '.join(most)} or {last}" if most else last
