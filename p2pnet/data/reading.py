"""Reading of samples from files, with the reader that the suffix names."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from p2pnet.catalogue.readers import READERS, has_reader, is_function, reader_name, suffixes
from p2pnet.data.readers.function_reader import read_function
from p2pnet.data.roles import Roles, TaskChoice, samples_of
from p2pnet.data.samples import Samples, in_order
from p2pnet.data.splitting import Parts, Split
from p2pnet.data.table import Table, TableRequest, joined
from p2pnet.errors import DataError


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """Where an agent's samples are, and which column is what."""

    source: Path
    roles: Roles = field(default_factory=Roles)
    test_source: Path | None = None
    test_fraction: float = 0.2
    """part of `source` that is kept for the test where there is no `test_source`"""
    seed: int = 0
    """of the split into training and test samples"""
    is_growing: bool = False
    """whether rows will come and go: which are for the test then follows from what stands in them"""
    encoding: str = "auto"
    """of text files"""
    delimiter: str = "auto"
    decimal: str = "auto"


def read_file_samples(options: DataOptions) -> Samples:
    """All samples of `source`."""
    return _read(options, options.source, options.roles)


def load_data(options: DataOptions) -> Parts:
    """Training and test samples: those of test_source where there is one, else a part of source; with a split, also
    those of the validation.

    Where no classes are given, the classes of all are the labels found in any.
    """
    samples = _read(options, options.source, options.roles)
    split = options.roles.split
    if options.test_source is None:
        try:
            if split is not None:
                return split.apply(samples, options.seed)
            if options.is_growing:
                return Parts(*Split(test=options.test_fraction).apply(samples, options.seed)[:2])
            rng = np.random.default_rng(options.seed)
            return Parts(*samples.split(options.test_fraction, rng))
        except DataError as error:
            raise DataError(f"{options.source}: {error}") from error
    columns = samples.feature_names if samples.encoding is None else samples.encoding.names
    roles = replace(options.roles, target=samples.target_name, task=samples.task, features=columns, window=None)
    test = _read(options, options.test_source, roles)
    if samples.task == "classification":
        classes = options.roles.classes or in_order({*samples.classes, *test.classes})
        return Parts(samples.with_classes(classes), test.with_classes(classes))
    return Parts(samples, test)


def _read(options: DataOptions, source: Path, roles: Roles) -> Samples:
    by = [part.texts for part in (roles.split, roles.window) if part is not None]
    request = TableRequest(
        target=roles.target,
        is_target_text=roles.task != "regression",
        weights=roles.weights,
        texts=frozenset(itertools.chain(roles.categorical, roles.dates, *by)),
        encoding=options.encoding,
        delimiter=options.delimiter,
        decimal=options.decimal,
    )
    return samples_of(read_table(source, request), roles)


def read_samples(source: Path, roles: Roles | None = None) -> Samples:
    """The samples of a file whose format is found out.

    Task auto is classification when `classes` are given, when a target is text, and when all are whole numbers of which
    at most 20 differ and which come twice on average; else regression. Without `classes`, the classes are the labels
    found, in the order of the numbers or of the alphabet. DataError names the file, the columns and lines.
    """
    return _read(DataOptions(source=source), source, roles or Roles())


def read_table(source: Path, request: TableRequest) -> Table:
    """The table of a file, or of all files of a directory that can be read, in the order of their names."""
    try:
        if source.is_dir():
            return _read_directory(source, request)
        if is_function(source):
            return read_function(source, request)
        if not has_reader(source):
            raise DataError(f"{source}: must be a directory, or end in {suffixes()}")
        table: Table = READERS[reader_name(source)].load()(source, request)
    except FileNotFoundError:
        raise DataError(f"{source}: no such file") from None
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror or error}") from error
    return table


def _read_directory(source: Path, request: TableRequest) -> Table:
    files = sorted(path for path in source.iterdir() if has_reader(path) and not path.name.startswith("."))
    if not files:
        raise DataError(f"{source}: is a directory without any {suffixes()} file")
    # What the last column is called in the first file is the target of all.
    first = read_table(files[0], request)
    request = replace(request, target=request.target or first.target)
    return joined(
        str(source), [(files[0].name, first), *((file.name, read_table(file, request)) for file in files[1:])]
    )


def write_npz(samples: Samples, path: Path) -> None:
    """Write samples so that `read_samples` gives them back (for classification: given the same classes)."""
    y = np.array(samples.classes)[samples.Y] if samples.task == "classification" else samples.Y[:, 0]
    shape = samples.shape or (samples.n_features,)
    arrays: dict[str, Any] = {"X": samples.X.reshape(samples.n_samples, *shape), "y": y}
    if not samples.shape:
        arrays["feature_names"] = np.array(samples.feature_names)
    arrays["target_name"] = samples.target_name
    if samples.weights is not None:
        arrays["weights"] = samples.weights
    np.savez(path, **arrays)


__all__ = ["DataOptions", "Roles", "TaskChoice", "load_data", "read_samples", "read_table", "write_npz"]
