"""Types that all machines share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

PeerId: TypeAlias = str
"""Names a peer for good: its public key on real networks."""

Array: TypeAlias = NDArray[np.float64]
WireArray: TypeAlias = NDArray[np.float64] | NDArray[np.float32]
Buffer: TypeAlias = bytes | bytearray | memoryview
Frames: TypeAlias = list[Buffer]


class Nonce(NamedTuple):
    """One side's half of a link id. Later incarnations, then later counters, are newer."""

    incarnation: int
    counter: int


class LinkId(NamedTuple):
    """Names one life of one link, as seen from one side."""

    mine: Nonce
    theirs: Nonce

    def mirrored(self) -> LinkId:
        """The same link, as the other side names it."""
        return LinkId(self.theirs, self.mine)

    def is_mirrored(self, other: LinkId) -> bool:
        """Whether `other` names the same link, seen from the other side."""
        return self.mine == other.theirs and self.theirs == other.mine


class VersionRange(NamedTuple):
    """The versions of the protocol that an agent speaks."""

    lowest: int
    highest: int

    def common(self, other: VersionRange) -> int | None:
        """The latest version that both speak; None where there is none."""
        version = min(self.highest, other.highest)
        return version if version >= max(self.lowest, other.lowest) else None

    def __str__(self) -> str:
        return f"{self.lowest} to {self.highest}" if self.lowest < self.highest else f"{self.highest}"


class Message:
    """Base of everything that one agent says to another."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class FeatureStatistics(Message):
    """Mean and variance of each column over the training samples of all agents, and all labels.

    Columns are the features, then the targets of a regression. The message by which an agent past the statistics stage
    hands the result to one that is still in it.
    """

    survey: str
    """Names the run of averaging that the numbers come from."""
    labels: tuple[str, ...]
    mean: Array = field(repr=False)
    variance: Array = field(repr=False)


class Randomness(Protocol):
    """The source of chance of a machine's decisions; a random.Random is one."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...

    def uniform(self, a: float, b: float) -> float:
        """A number between two."""
        ...

    def sample(self, population: Sequence[T], k: int) -> list[T]:
        """`k` different items of the population."""
        ...
