"""The proximal weight τ of a local step: how far from w a surrogate is trusted.

A local model leaves out curvature of the network's objective: that of other agents' data, and that of the network f
where f is linearised. τ stands in for that unmodelled curvature. With too small a τ agents overshoot and never agree;
with too large a τ they converge slowly.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final, final

PROXIMAL_WEIGHT: Final = "proximal_weight"
"""The name of τ among the numbers that a later run goes on with."""


class ProximalWeightRule(ABC):
    """τ as a function of what the local steps so far have measured."""

    weight: float
    """τ for the next local step"""

    @abstractmethod
    def observe(self, unmodelled_curvature: float, *, is_blind: bool) -> None:
        """Update τ from δ, the unmodelled curvature along the last local step's displacement s = w⁺ − w,

        δ = |sᵀ(ŷ⁺ − ŷ) − scale·sᵀ(∇g̃(w⁺) − ∇g̃(w))| / sᵀs.

        `is_blind`: momentum has made s long, and the agent is farther from stationary than before, so that δ may miss
        curvature across s. Then δ is the larger of this one and of that across the earlier displacement (`secant`).
        """

    @abstractmethod
    def covers(self, unmodelled_curvature: float) -> bool:
        """Whether τ is large enough for δ."""

    @abstractmethod
    def follow(self, neighbor_weight: float) -> None:
        """Update τ from the largest weight that a neighbor uses."""

    @abstractmethod
    def reject(self) -> None:
        """Raise τ: the true objective decreased by less than predicted."""

    def damp(self, factor: float) -> None:  # noqa: B027  (a constant weight is what it is)
        """Raise τ by a factor: agents go apart, though nothing is seen along their displacements."""

    def begin_anew(self, progress: float) -> None:  # noqa: B027  (not every rule remembers something)
        """Begin again, since the objective is another one now: at w it is as far from stationary as `progress`, from 0
        to 1, of how far the first one was where its first step began.
        """

    def fade_anew(self) -> None:  # noqa: B027  (not every rule fades)
        """Forget fast what was needed so far, since local models leave out much less from now on."""

    def state(self) -> dict[str, float]:
        """The numbers that a later run goes on with."""
        return {PROXIMAL_WEIGHT: self.weight}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from the numbers of an earlier run; those that are missing stay as they are."""
        self.weight = state.get(PROXIMAL_WEIGHT, self.weight)


@final
class ConstantWeight(ProximalWeightRule):
    """τ constant, doubled only within a local step that would raise the agent's true objective."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self.weight = weight

    def observe(self, unmodelled_curvature: float, *, is_blind: bool) -> None:
        self.weight = self._weight

    def covers(self, unmodelled_curvature: float) -> bool:
        return True

    def follow(self, neighbor_weight: float) -> None: ...

    def reject(self) -> None:
        self.weight *= 2.0


@final
class SecantWeight(ProximalWeightRule):
    """τ⁺ = max(1.5 δ, (1 − fading) τ), and at most 2 τ; never less than a neighbor's, as far as that can be believed.

    A weight that was needed is remembered, and spreads from neighbor to neighbor, but the memory fades: no weight
    sticks, and the first τ need not be tuned. The fading is 0.2 at first and is multiplied by 0.9 at every violation
    (1.5 δ > τ), so that an agent whose weight was often too small lowers it ever more slowly, and converges. Growth is
    bounded because δ also rises when disagreement, not curvature, turns the direction. τ does not fade where δ may be
    blind: along a displacement that momentum has made long, δ does not show all that grows across it. Nor does it where
    agents go apart beneath that; where they do so fast, it is raised by a quarter, and where with each step, it is
    doubled (`disagreement_trend.py`).

    A neighbor's weight counts up to `MOST_FOLLOWED` times the largest that this agent has needed itself, of late: with
    what a neighbor merely says, no step would ever be longer than nothing.
    """

    CAUTION = 1.5
    MAX_GROWTH = 2.0
    FIRST_FADING = 0.2
    FADING_ANEW = 0.4
    """The fading where local models leave out much less from now on: to a tenth in five steps."""
    SLOWING = 0.9
    MOST_FOLLOWED = 64.0
    """Honest neighbors need up to 13 times as much, and more than 16 times where shares are lost."""
    OWN_FADING = 0.005
    """Of the largest weight needed, from step to step."""

    def __init__(self, weight: float = 0.1) -> None:
        self.weight = weight
        self._fading = self.FIRST_FADING
        self._largest = 0.0
        """The largest weight since the objective is what it is."""
        self._own = self._most_own = weight
        """τ as it would be without neighbors, and the largest of these, fading."""

    def observe(self, unmodelled_curvature: float, *, is_blind: bool) -> None:
        needed = self.CAUTION * unmodelled_curvature
        if needed > self.weight:
            self.weight = min(needed, self.MAX_GROWTH * self.weight)
            self._fading *= self.SLOWING
        elif not is_blind:
            self.weight = max(needed, (1.0 - self._fading) * self.weight)
        self._largest = max(self._largest, self.weight)
        if needed > self._own:
            self._own = min(needed, self.MAX_GROWTH * self._own)
        elif not is_blind:
            self._own = max(needed, (1.0 - self._fading) * self._own)
        self._most_own = max((1.0 - self.OWN_FADING) * self._most_own, self._own)

    def covers(self, unmodelled_curvature: float) -> bool:
        return self.CAUTION * unmodelled_curvature <= self.weight

    def follow(self, neighbor_weight: float) -> None:
        self.weight = max(self.weight, min(neighbor_weight, self.MOST_FOLLOWED * self._most_own))

    def reject(self) -> None:
        self.weight *= 2.0
        self._own *= 2.0
        self._most_own = max(self._most_own, self._own)

    def damp(self, factor: float) -> None:
        """Raise τ up to the largest that the agent has needed itself, of late: differences that are next to nothing may
        grow by chance.
        """
        self.weight = max(self.weight, min(factor * self.weight, self._most_own))
        self._own = max(self._own, min(factor * self._own, self._most_own))

    def begin_anew(self, progress: float) -> None:
        """τ = τ^(1 − √progress) · τ_max^√progress, with τ_max the largest weight so far: what was needed far from a
        solution is needed again where the new objective's is far, and the weight at rest is enough where it is near.
        """
        share = math.sqrt(progress)
        self.weight, self._largest = self.weight ** (1.0 - share) * max(self.weight, self._largest) ** share, 0.0
        self._fading = self.FIRST_FADING

    def fade_anew(self) -> None:
        self._fading = self.FADING_ANEW

    def state(self) -> dict[str, float]:
        return {PROXIMAL_WEIGHT: self.weight, "fading": self._fading, "largest_weight": self._largest}

    def restore(self, state: Mapping[str, float]) -> None:
        self.weight = self._own = self._most_own = state.get(PROXIMAL_WEIGHT, self.weight)
        self._fading = state.get("fading", self._fading)
        self._largest = state.get("largest_weight", self._largest)
