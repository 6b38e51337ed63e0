"""Movement of what is tracked: for how many rounds an agent's links, the weight and the samples of the network have
stayed as they are, and whether gradients have changed all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

import numpy as np

from p2pnet.protocol.links.ledger import norm
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.rounds.steadiness import Steadiness

UNEQUAL: Final = 4.0
"""As many samples, or as few, as others have: then they are no measure of what is usual."""
UNEQUAL_ROUNDS: Final = 100
STEADY_MASS: Final = 0.001
"""By how much weight, and by ten times what part samples, may change in a round where none has come, gone or lost a
neighbor, and no jump is passed on of one that has."""
SUDDEN: Final = 10.0
"""Times what gradients of late have changed by in a round."""
TURN_FADING: Final = 0.95
SUDDEN_ROUNDS: Final = 5


@final
class Movement:
    """Watches the mass that an agent has and the mass that comes.

    One that has lost a neighbor jumps in the same round in which its share says so, by weight and samples: so what a
    round will make of the tracked sums is computed before it is mixed.
    """

    def __init__(self) -> None:
        self._steadiness = Steadiness()
        self._n_since_unequal = UNEQUAL_ROUNDS + 1
        self._turn = 0.0
        """the largest change of what is tracked of gradients in a round, of late"""
        self._n_since_sudden = 0

    def see(self, tracker: Tracker, links: Sequence[Link], *, is_first: bool) -> None:
        """Take in what is tracked in a round, and the agent's links; unlike numbers of samples are no news at first."""
        self._steadiness.see(links, tracker.weight)
        n_samples, mean = float(tracker.own[-2]), tracker.mean_samples
        mass, most = tracker.own.astype(np.float64), mean
        for link in links:
            moved = link.moved()
            mass += moved
            most = max(most, abs(float(moved[-2])))
        samples, weight = mass[-2:]
        has_other_samples = abs(samples - weight * mean) > 10.0 * STEADY_MASS * mean
        if has_other_samples or abs(weight - tracker.weight) > STEADY_MASS:
            self._steadiness.interrupt()
        turn = norm(mass[:-2] - tracker.estimate[:-1] * weight)
        is_sudden = has_other_samples or not turn <= SUDDEN * self._turn
        self._turn = max(TURN_FADING * self._turn, turn)
        self._n_since_sudden = 0 if is_sudden else self._n_since_sudden + 1
        is_equal = most <= UNEQUAL * n_samples and n_samples <= UNEQUAL * mean
        self._n_since_unequal = self._n_since_unequal + 1 if is_equal or is_first else 0

    def has_been_steady(self, n_rounds: int) -> bool:
        """Whether links, weight and samples have stayed for so many rounds."""
        return self._steadiness.has_lasted(n_rounds)

    @property
    def is_sudden(self) -> bool:
        """Whether samples or gradients have changed all at once of late."""
        return self._n_since_sudden < SUDDEN_ROUNDS

    @property
    def is_equal(self) -> bool:
        """Whether agents have had about as many samples each for long."""
        return self._n_since_unequal > UNEQUAL_ROUNDS
