"""The simulations of a sweep: each combination of the values that vary, once for each seed."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Final

from p2pnet.errors import ConfigError
from p2pnet.experiments.simulate.options import SimulateOptions

MAX_CELLS: Final = 100_000
Varied = Mapping[str, str]
"""What varies, by the name of the option."""


@dataclass(frozen=True, slots=True)
class Variation:
    """The values that one option takes."""

    option: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One simulation of a sweep."""

    settings: Varied
    options: SimulateOptions

    @property
    def seed(self) -> int:
        return self.options.seed

    def key(self, version: str) -> str:
        """A digest of all that decides the outcome: options, the content of files, and the software's version."""
        options = self.options
        files = [Path(options.data)] if options.is_of_file else []
        files += [] if options.speeds is None else [options.speeds]
        files += [Path(options.topology)] if Path(options.topology).is_file() else []
        decisive = asdict(options) | {"version": version, "content": [_content_digest(file) for file in files]}
        text = json.dumps(decisive, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def parse_variation(text: str) -> Variation:
    """Parse text such as `loss-rate 0 0.1 0.3`: an option's name, and its values; ConfigError for other text."""
    try:
        name, *values = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"--vary {text!r}: must be an option and its values, as in 'loss-rate 0 0.1'") from error
    option = name.removeprefix("--")
    if not values:
        raise ConfigError(f"--vary {text!r}: needs values after the option's name, as in 'loss-rate 0 0.1'")
    if len(set(values)) < len(values):
        raise ConfigError(f"--vary {text!r}: names a value twice")
    return Variation(option, tuple(values))


def parse_seeds(text: str) -> range:
    """Parse the seeds: `5` for 0 to 4, or `10:15` for 10 to 14; ConfigError for other text."""
    match = re.fullmatch(r"(?:(\d{1,9}):)?(\d{1,9})", text)
    seeds = range(int(match[1] or 0), int(match[2])) if match else range(0)
    if not seeds:
        raise ConfigError(f"--seeds {text}: must be their number, as in 5, or FIRST:END, as in 10:15")
    return seeds


def make_grid(
    variations: Sequence[Variation], seeds: Sequence[int], options_of: Callable[[Varied], SimulateOptions]
) -> list[Cell]:
    """All cells, in the order of the variations; ConfigError where one cannot be run, before any is.

    `options_of` makes the options of a simulation from what varies in it.
    """
    options = [variation.option for variation in variations]
    for option in options:
        if options.count(option) > 1:
            raise ConfigError(f"--vary {option}: is given twice; name all its values at once")
    combinations = [dict(zip(options, values, strict=True)) for values in product(*(v.values for v in variations))]
    if len(combinations) * len(seeds) > MAX_CELLS:
        raise ConfigError(f"{len(combinations)} settings by {len(seeds)} seeds are more than {MAX_CELLS} simulations")
    return [
        # Processes do not change an outcome, and the cells share the cores.
        Cell(settings, replace(base, seed=seed, processes=1))
        for settings, base in ((settings, options_of(settings)) for settings in combinations)
        for seed in seeds
    ]


def _content_digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "blake2b").hexdigest()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
