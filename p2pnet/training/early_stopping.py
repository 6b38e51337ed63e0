"""Early stopping: when the network's validation loss falls no more, and which parameters it was least at.

Every few rounds an agent keeps its parameters, a *candidate*, and the loss of its validation rows there. The losses of
the last candidates, one slot for each in turn, are tracked beside the gradient; what an agent knows of the network's
mean of a slot grows more exact from round to round, as long as it is there. An agent takes no more local steps once the
least of them is older than its patience, and counts as stationary, so that training ends like any other: when all
agents agree.

Which candidate is the best is decided after that, by exact averages of all of them, so that all agents take the same:
of the last ones, and of the one that ended the patience, however long ago, where it is the same at all agents. An agent
that was away may hold up the end until the last ones are all later than that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from p2pnet.optim.arrays import Array

CANDIDATES_A_PATIENCE = 8

NEARLY = 1e-9
"""Losses are as good as the least that are above it by no more than this part."""

_NONE = -1
"""The number of the best candidate as long as none has been found."""


@final
@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a better validation loss, the same at all agents."""

    rounds: int
    slack: int
    """rounds that may pass from the patience's end to the end of training, until all agents have agreed on it"""

    @property
    def every(self) -> int:
        """Rounds from one candidate to the next."""
        return -(-self.rounds // CANDIDATES_A_PATIENCE)

    @property
    def n_slots(self) -> int:
        """How many candidates are kept: those of all these rounds, and some more."""
        return -(-(self.rounds + self.slack) // self.every) + 4


@final
@dataclass(frozen=True, slots=True)
class Best:
    """The parameters that training ends with."""

    round: int
    params: Array
    is_kept: bool
    """whether they are those of that round; else the nearest that there are of this agent"""


@final
class EarlyStopping:
    """One agent's candidates, and its view of those of the network."""

    def __init__(self, validation_loss: Callable[[Array], float], n_rows: float, patience: Patience) -> None:
        """`validation_loss` is the sum of the losses of the agent's `n_rows` rows for validation, both weighted."""
        self._loss = validation_loss
        self._n_rows = n_rows
        self._patience = patience
        self._losses = np.zeros(patience.n_slots)
        self._latest = -1
        """The number of the last candidate: its round is about so many times `every`."""
        self._first = 0
        self._candidates: dict[int, Array] = {}
        self._judged_from = 0
        """The number of the first candidate with which the patience can end."""
        self._best = _NONE
        """The number of the candidate that is the best as far as this agent knows; it stays when the patience ends."""
        self._last: tuple[int, Array] = (0, np.zeros(0))
        self.is_over = False
        """Whether the patience has ended."""

    @property
    def n_tracked(self) -> int:
        """How many numbers are tracked beside the gradient."""
        return self._patience.n_slots + 1

    @property
    def n_candidates(self) -> int:
        """How many sums decide between all candidates and the last parameters."""
        return self._patience.n_slots + 6

    @property
    def kept(self) -> Mapping[int, Array]:
        """The candidates, by number; what is given does not change."""
        return self._candidates

    def restore(self, kept: Mapping[int, Array], *, is_over: bool) -> None:
        """Go on from the candidates of an earlier run, and from whether its patience had ended.

        The tracker begins anew, and knows at first of this agent's losses only; by the next candidate it has heard of
        others.
        """
        if not kept:
            return
        self._candidates, self.is_over = dict(kept), is_over
        self._first, self._latest = min(kept), max(kept)
        self._judged_from = self._latest + 1
        for number in range(max(self._first, self._latest - self._patience.n_slots + 1), self._latest + 1):
            self._losses[number % self._patience.n_slots] = self._loss(self._candidate(number))

    def observe(self, round_: int, params: Array) -> NDArray[np.float64]:
        """Keep a candidate if one is due; what is tracked, (n_tracked,): losses by slot, and the number of rows."""
        self._last = (round_, params)
        number = round_ // self._patience.every
        if number > self._latest:
            if self._latest < 0:
                self._first = number
            loss = self._loss(params)
            # Of rounds that were skipped this one's parameters are the nearest.
            for missed in range(max(self._latest + 1, number - self._patience.n_slots + 1), number + 1):
                self._losses[missed % self._patience.n_slots] = loss
            self._latest = number
            oldest = number - self._patience.n_slots
            kept = {k: kept for k, kept in self._candidates.items() if k > oldest or k == self._best}
            self._candidates = kept | {number: params.copy()}
        return np.append(self._losses, self._n_rows)

    def has_ended(self, round_: int, tracked: Array) -> bool:
        """Whether the patience has ended, by the network's means of what is tracked; then it stays so.

        The last slot is not read, since others may not have filled it, nor the oldest, which they may have filled anew.
        """
        if self.is_over and self._best != _NONE:
            return True
        numbers = np.arange(max(self._first, self._latest - self._patience.n_slots + 2), self._latest)
        if self._latest < self._judged_from or not len(numbers) or tracked[-1] <= 0.0:
            return self.is_over
        losses = tracked[numbers % self._patience.n_slots]
        self._best = int(numbers[np.argmin(losses)])
        self.is_over = self.is_over or round_ - self._best * self._patience.every >= self._patience.rounds
        return self.is_over

    def candidates(self) -> NDArray[np.float64]:
        """What is summed over the network to decide, (n_candidates,): the losses at the candidate that this agent holds
        to be the best, at the last ones in the order of rounds, and at the last parameters; then 1, how many candidates
        ago the best was, the square of that, and the number of rows.
        """
        losses = [self._loss(self._candidate(number)) for number in self._numbers()]
        ago = float(self._numbers()[-1] - self._best)
        return np.array([*losses, self._loss(self._last[1]), 1.0, ago, ago * ago, self._n_rows], dtype=np.float64)

    def best(self, candidates: Array) -> Best:
        """The parameters that the network's means of the candidates say are the best, the first of these."""
        *losses, count, ago, square, n_rows = candidates.tolist()
        mean = ago / count
        if square / count - mean * mean > NEARLY * (1.0 + mean * mean):  # agents hold different ones to be the best
            losses[0] = np.inf
        least = min(losses)
        place = next(k for k, loss in enumerate(losses) if loss <= least + NEARLY * abs(least))
        numbers = self._numbers()
        if n_rows <= 0.0 or place == len(numbers):
            return Best(*self._last, is_kept=True)
        number = numbers[place]
        return Best(max(number, 0) * self._patience.every, self._candidate(number), is_kept=number in self._candidates)

    def _numbers(self) -> list[int]:
        """The candidates that all decide between: the agent's best, then the last ones, oldest first; none before the
        start.
        """
        latest = self._last[0] // self._patience.every
        return [self._best, *(max(number, 0) for number in range(latest - self._patience.n_slots + 1, latest + 1))]

    def _candidate(self, number: int) -> Array:
        """The parameters of a candidate; where there are none, the nearest before, else the first."""
        kept = [k for k in self._candidates if k <= number]
        return self._candidates[max(kept) if kept else min(self._candidates)]
