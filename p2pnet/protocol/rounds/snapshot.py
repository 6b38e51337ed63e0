"""A snapshot of an agent's training: a value that outlives the process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from p2pnet.protocol.core.types import Array, FeatureStatistics


@final
@dataclass(frozen=True, slots=True)
class RoundSnapshot:
    """The state of one agent's rounds between two events, without links and tracker, which belong to one life."""

    round: int
    params: Array = field(repr=False)
    """w, (n_params,), at the beginning of the round"""
    first_residual: float
    """the largest residual of any agent in the first round, as far as known: the scale of the tolerance"""
    is_converged: bool
    """whether training has ended with these parameters because all agents were stationary"""
    statistics: FeatureStatistics | None = None
    """the feature statistics by which the samples are scaled; None where there was no such stage"""
    epoch: int = 0
    """the number of the epoch"""
    first_round: int = 0
    """the round in which it has begun"""
    is_current: bool = True
    """whether they are of the samples as they are now, as far as known"""
    is_concluded: bool = False
    """whether what follows on training, the metrics of the network, is done with these parameters as well"""

    def has_ended(self, max_rounds: int) -> bool:
        """Whether an epoch of so many rounds at most has nothing left to do."""
        return self.is_converged or self.round >= self.first_round + max_rounds
