"""What a person can ask of the demo."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from p2pnet.config.terms import parse_penalty
from p2pnet.datasets import NAMED_DATASETS
from p2pnet.errors import ConfigError

TOPOLOGIES = ("ring", "path", "star", "grid", "full", "random")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The demo's options, checked; ConfigError names the first that is wrong."""

    agents: int = 8
    topology: str = "ring"
    """ring, path, star, grid, full, random, or random:P with P the probability of each edge"""
    data: str = "digits"
    """digits, breast-cancer, diabetes, or the path of a .csv or .npz file"""
    target: str | None = None
    task: Literal["auto", "regression", "classification"] = "auto"
    partition: Literal["iid", "sorted"] = "iid"
    hidden: tuple[int, ...] = (32,)
    penalty: str = "l2:1e-3"
    rounds: int = 500
    pace_s: float = 0.0
    seed: int = 0
    report: Path | None = None
    is_json: bool = False

    def __post_init__(self) -> None:
        _require(self.agents >= 2, "--agents", self.agents, "must be at least 2")
        _require(
            _is_topology(self.topology), "--topology", self.topology, f"must be {_one_of(TOPOLOGIES)}, or random:P"
        )
        _require(
            self.data in NAMED_DATASETS or Path(self.data).suffix.lower() in (".csv", ".npz"),
            "--data",
            self.data,
            f"must be {_one_of(NAMED_DATASETS)}, or a file that ends in .csv or .npz",
        )
        if self.data in NAMED_DATASETS:
            _require(self.target is None, "--target", self.target, "is for files; the named data sets have theirs")
            _require(self.task == "auto", "--task", self.task, "is for files; the named data sets have theirs")
        _require(all(width > 0 for width in self.hidden), "--hidden", self.hidden, "must be widths of at least 1")
        try:
            parse_penalty(self.penalty)
        except ValueError as error:
            raise ConfigError(f"--penalty {self.penalty}: {error}") from None
        _require(self.rounds >= 1, "--rounds", self.rounds, "must be at least 1")
        _require(self.pace_s >= 0 and math.isfinite(self.pace_s), "--pace", self.pace_s, "must be 0 or more seconds")
        _require(self.seed >= 0, "--seed", self.seed, "must be 0 or more")


def parse_hidden(text: str) -> tuple[int, ...]:
    """Widths of the hidden layers from text such as 32, 64,32 or none."""
    if text == "none":
        return ()
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise ConfigError(f"--hidden {text}: must be widths as in 32 or 64,32, or none for a linear model") from None


def _is_topology(text: str) -> bool:
    name, colon, probability = text.partition(":")
    if not colon:
        return name in TOPOLOGIES
    try:
        return name == "random" and 0 < float(probability) <= 1
    except ValueError:
        return False


def _require(is_right: bool, option: str, value: object, what: str) -> None:
    if not is_right:
        raise ConfigError(f"{option} {value}: {what}")


def _one_of(names: Iterable[str]) -> str:
    return f"one of {', '.join(names)}"
