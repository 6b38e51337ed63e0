"""NPZ archives of plain arrays from anyone: measured by their headers before anything of them is unpacked.

An archive is a ZIP of .npy entries. Its members are stored as they are, so that they cannot be larger than the file,
and each declares as many bytes as its array has; so an archive takes up no more memory than its own size.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from p2pnet.errors import DataError

MAX_ENTRIES: Final = 256
_KINDS: Final = "fiubU"


def archive_bytes(arrays: Mapping[str, Any]) -> bytes:
    """The archive that holds each number, text or array under its name."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


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


def _array(content: bytes) -> NDArray[Any]:
    """The array of a .npy entry; ValueError where its header declares another size than the entry has."""
    stream = io.BytesIO(content)
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, is_fortran, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, is_fortran, dtype = npy.read_array_header_2_0(stream)
    else:
        raise ValueError(f"arrays of NPY version {version} are not read")
    if dtype.kind not in _KINDS:
        raise ValueError(f"an array of {dtype}; only numbers and text are read")
    n_values = math.prod(shape)
    if min(shape, default=0) < 0 or n_values * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"a header declares {n_values} values of {dtype}, which the entry does not have")
    values = np.frombuffer(content, dtype, n_values, stream.tell()) if dtype.itemsize else np.zeros(n_values, dtype)
    return values.reshape(shape, order="F" if is_fortran else "C").astype(dtype.newbyteorder("="))
