"""What may become of an agent's samples while its network keeps running."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from p2pnet.data.samples import Samples

Becoming: TypeAlias = Callable[[Samples, Samples], Samples]
"""The samples that an agent has from now on, by those that it has and those of another."""

FEW = 2
FAR = 20.0
"""Deviations."""


def _together(one: Samples, other: Samples) -> Samples:
    return replace(one, X=np.vstack([one.X, other.X]), Y=np.concatenate([one.Y, other.Y]))


def _drifted(mine: Samples, other: Samples) -> Samples:
    """Every eighth column of the rows that arrive is far off."""
    X = other.X.copy()
    X[:, ::8] += FAR * np.maximum(mine.X[:, ::8].std(axis=0), 0.1)
    return _together(mine, replace(other, X=X))


BECOMINGS: Mapping[str, Becoming] = MappingProxyType(
    {
        "arrive": lambda mine, other: _together(mine, other.take(np.arange(other.n_samples // 5))),
        "double": _together,
        "are replaced": lambda _, other: other,
        "drift": _drifted,
        "are withdrawn": lambda mine, _: mine.take(np.arange(FEW)),
        "grow a hundredfold": lambda mine, _: replace(mine, X=np.tile(mine.X, (100, 1)), Y=np.tile(mine.Y, 100)),
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the samples of one agent, and when."""

    becoming: str
    agent: int = 3
    other: int = 6
    in_round: int | None = None
    """the round in which it happens; None for once all are idle"""
