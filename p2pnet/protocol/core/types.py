"""Types shared by all state machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

PeerId: TypeAlias = str
"""The permanent id of a peer: its public key on real networks."""

Array: TypeAlias = NDArray[np.float64]
"""Of the parameters of a model, and what goes with them, float32 where the model is."""
WireArray: TypeAlias = NDArray[np.float64] | NDArray[np.float32] | NDArray[np.uint8]
Buffer: TypeAlias = bytes | bytearray | memoryview
Frames: TypeAlias = list[Buffer]


CHOICE, MEASUREMENT = "choice", "measurement"
"""The stages after training."""


class Nonce(NamedTuple):
    """One side's half of a link id, ordered by incarnation, then by counter."""

    incarnation: int
    counter: int


class LinkId(NamedTuple):
    """The id of one opening of a link, as seen from one side: own nonce, then the peer's."""

    mine: Nonce
    theirs: Nonce

    def mirrored(self) -> LinkId:
        """The id of the same link as seen from the other side."""
        return LinkId(self.theirs, self.mine)

    def is_mirrored(self, other: LinkId) -> bool:
        """Whether `other` names the same link, seen from the other side."""
        return self.mine == other.theirs and self.theirs == other.mine


class VersionRange(NamedTuple):
    """The range of protocol versions that an agent speaks."""

    lowest: int
    highest: int

    def common(self, other: VersionRange) -> int | None:
        """The latest version in both ranges; None where the ranges do not overlap."""
        version = min(self.highest, other.highest)
        return version if version >= max(self.lowest, other.lowest) else None

    def __str__(self) -> str:
        return f"{self.lowest} to {self.highest}" if self.lowest < self.highest else f"{self.highest}"


class Message:
    """Base of all messages between agents. Their arrays are never written into: they may still be on their way out."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class FeatureStatistics(Message):
    """Mean and variance of each feature column over the training samples of all agents, and the set of labels.

    Columns are the features, then the targets of a regression. The message by which an agent past the statistics stage
    hands the result to an agent that is still in it.
    """

    survey: str
    """The id of the averaging run that the numbers come from."""
    labels: tuple[str, ...]
    mean: Array = field(repr=False)
    variance: Array = field(repr=False)


class Randomness(Protocol):
    """The random source of a machine's decisions; random.Random implements it."""

    def random(self) -> float:
        """A uniform number in [0, 1)."""
        ...

    def uniform(self, a: float, b: float) -> float:
        """A uniform number between two bounds."""
        ...

    def sample(self, population: Sequence[T], k: int) -> list[T]:
        """Draw `k` different items of the population."""
        ...
