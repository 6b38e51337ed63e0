"""NPZ archives of plain arrays from anyone: measured by their headers before anything of them is unpacked.

An archive is a ZIP of .npy entries, each of which declares as many bytes as its array has. In those that p2pnet writes,
entries are stored as they are, so that an archive takes up no more memory than its own size (`read_archive`). Samples
may be compressed; shapes and sizes of their arrays are known before they are unpacked (`array_headers`).
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from p2pnet.errors import DataError

MAX_ENTRIES: Final = 256
MAX_UNPACKED_RATIO: Final = 100
"""Of compressed arrays to their file, beyond `FREE_BYTES`: some MB may declare thousands."""
FREE_BYTES: Final = 256 * 2**20
_KINDS: Final = "fiubU"


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """Shape and type of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def array_headers(path: Path) -> dict[str, ArrayHeader]:
    """Shape and type of all arrays by name, from their headers alone.

    DataError where there is something else, or where they would unpack to far more than the file's size. OSError as of
    reading; ValueError, EOFError, zipfile.BadZipFile where it is no archive of arrays.
    """
    headers = {}
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        n_bytes, declared = path.stat().st_size, sum(entry.file_size for entry in entries)
        if len(entries) > MAX_ENTRIES:
            raise DataError(f"has {len(entries)} entries; {MAX_ENTRIES} are the most that are read")
        if declared > max(FREE_BYTES, MAX_UNPACKED_RATIO * n_bytes):
            raise DataError(
                f"declares {declared} bytes of arrays in a file of {n_bytes} bytes; if that is right, write it with "
                "numpy.savez, which does not compress"
            )
        for entry in entries:
            with archive.open(entry) as stream:
                shape, _, dtype = _read_header(stream)
                start = stream.tell()
            if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != entry.file_size - start:
                raise ValueError(f"entry {entry.filename!r} declares another size than it has")
            headers[entry.filename.removesuffix(".npy")] = ArrayHeader(shape, dtype)
    return headers


def is_single_array(path: Path) -> bool:
    """Whether the file is what numpy.save writes."""
    with path.open("rb") as file:
        return file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX


def archive_bytes(arrays: Mapping[str, Any]) -> bytes:
    """The archive that holds each number, text or array under its name."""
    buffer = io.BytesIO()
    write_archive(buffer, arrays)
    return buffer.getvalue()


def write_archive(file: IO[bytes], arrays: Mapping[str, Any]) -> None:
    """Write the same into a file."""
    np.savez(file, **arrays)


def read_archive(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of numbers and text by name; DataError where there is anything else, or more than the file's size."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _measure(entries, len(content))
            return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError) as error:
        raise DataError(f"is not an NPZ archive of plain arrays, or is damaged: {error}") from error


def _measure(entries: list[zipfile.ZipInfo], n_bytes: int) -> None:
    names = [entry.filename for entry in entries]
    if len(entries) > MAX_ENTRIES:
        raise DataError(f"has {len(entries)} entries; {MAX_ENTRIES} are the most that are read")
    if len(set(names)) < len(names):
        raise DataError("has two entries of one name")
    for entry in entries:
        if not entry.filename.endswith(".npy"):
            raise DataError(f"has an entry {entry.filename!r}, which is no array")
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise DataError(f"entry {entry.filename!r} is compressed; write it with numpy.savez")
    declared = sum(entry.file_size for entry in entries)
    if declared > n_bytes:
        raise DataError(f"declares {declared} bytes of arrays in a file of {n_bytes} bytes")


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type; the stream then stands at the values."""
    version = npy.read_magic(stream)
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)
    if version == (2, 0):
        return npy.read_array_header_2_0(stream)
    raise ValueError(f"arrays of NPY version {version} are not read")


def _array(content: bytes) -> NDArray[Any]:
    """The array of a .npy entry; ValueError where its header declares another size than the entry has."""
    stream = io.BytesIO(content)
    shape, is_fortran, dtype = _read_header(stream)
    if dtype.kind not in _KINDS:
        raise ValueError(f"an array of {dtype}; only numbers and text are read")
    n_values = math.prod(shape)
    if min(shape, default=0) < 0 or n_values * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"a header declares {n_values} values of {dtype}, which the entry does not have")
    values = np.frombuffer(content, dtype, n_values, stream.tell()) if dtype.itemsize else np.zeros(n_values, dtype)
    return values.reshape(shape, order="F" if is_fortran else "C").astype(dtype.newbyteorder("="))
