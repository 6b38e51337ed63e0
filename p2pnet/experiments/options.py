"""Options that demo and simulation have in common."""

from __future__ import annotations

import math
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.readers import has_reader
from p2pnet.data.encoding import MissingRule
from p2pnet.data.roles import Roles
from p2pnet.data.sharding import PartitionName
from p2pnet.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentOptions(ABC):
    """Who trains what on which samples, for how long, and what is reported of it."""

    agents: int = 8
    topology: str = "ring"
    data: str = "digits"
    """a named data set, or the path of a file that a reader takes"""
    target: str | None = None
    task: Literal["auto", "regression", "classification"] = "auto"
    ignore: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    missing: MissingRule = "refuse"
    partition: PartitionName = "iid"
    hidden: tuple[int, ...] = (32,)
    factory: str | None = None
    """`package.module:name` of what makes another model; `hidden` then means nothing"""
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """of the factory"""
    penalty: str = "l2:1e-3"
    rounds: int = 500
    pace_s: float = 0.0
    seed: int = 0
    report: Path | None = None
    is_json: bool = False

    @abstractmethod
    def __post_init__(self) -> None:
        """Validate all options."""

    @property
    def is_of_file(self) -> bool:
        """Whether the data is a user's file."""
        return has_reader(Path(self.data))

    @property
    def roles(self) -> Roles:
        """What the columns of a user's file are for, but for its target."""
        return Roles(ignore=self.ignore, categorical=self.categorical, dates=self.dates, missing=self.missing)

    def check_training(self) -> None:
        """Validate the options of training, except graph and data set; ConfigError for the first wrong option."""
        if not self.is_of_file:
            require(self.target is None, "--target", self.target, "is for files; other data sets have theirs")
            require(self.task == "auto", "--task", self.task, "is for files; other data sets have theirs")
            for option, names in (("ignore", self.ignore), ("categorical", self.categorical), ("dates", self.dates)):
                require(not names, f"--{option}", ", ".join(names), "is for files; other data sets have only numbers")
        require(all(width > 0 for width in self.hidden), "--hidden", self.hidden, "must be widths of at least 1")
        require(not self.arguments or self.factory is not None, "--argument", self.arguments, "is a --factory's")
        require_term("--penalty", self.penalty, PENALTIES.parse)
        require(self.rounds >= 1, "--rounds", self.rounds, "must be at least 1")
        require(self.pace_s >= 0 and math.isfinite(self.pace_s), "--pace", self.pace_s, "must be 0 or more seconds")
        require(self.seed >= 0, "--seed", self.seed, "must be 0 or more")


def parse_hidden(text: str) -> tuple[int, ...]:
    """Parse the widths of hidden layers: text such as 32, 64,32 or none."""
    if text == "none":
        return ()
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise ConfigError(f"--hidden {text}: must be widths as in 32 or 64,32, or none for a linear model") from None


def parse_arguments(texts: Sequence[str]) -> dict[str, Any]:
    """Parse arguments of a factory, NAME=VALUE each: a TOML value, or else text."""
    arguments: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        require(bool(equals) and name.isidentifier(), "--argument", text, "must be written as in width=16")
        try:
            arguments[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            arguments[name] = value
    return arguments


def require(is_right: bool, option: str, value: object, what: str) -> None:
    """Raise ConfigError unless the condition on an option holds."""
    if not is_right:
        raise ConfigError(f"{option} {value}: {what}")


def require_term(option: str, text: str, parse: Callable[[str], object]) -> None:
    """Raise ConfigError unless the text can be parsed."""
    try:
        parse(text)
    except ValueError as error:
        raise ConfigError(f"{option} {text}: {error}") from None
