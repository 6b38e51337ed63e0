"""The proximal weight τ of a local step: how far from w a surrogate is trusted.

A local model leaves curvature of the network's objective out: that of other agents' data, and that of the network f
where it is linearised. The weight has to stand in for it. Too small, and agents overshoot and never agree; too large,
and they crawl.
"""

from abc import ABC, abstractmethod
from typing import final


class ProximalWeightRule(ABC):
    """Chooses τ from local step to local step."""

    weight: float
    """τ for the next local step"""

    @abstractmethod
    def observe(self, unforeseen_curvature: float, *, is_blind: bool) -> None:
        """Take in δ, the curvature that the last local step met along its way and its model had left out:

        δ = |sᵀ(ŷ⁺ − ŷ) − scale·sᵀ(∇g̃(w⁺) − ∇g̃(w))| / sᵀs,  s = w⁺ − w,

        and whether it may be blind: the way is one that momentum has made long, and the agent is farther from
        stationary than before. Then δ is the larger of this one and of that across the earlier way (`secants`).
        """

    @abstractmethod
    def follow(self, neighbor_weight: float) -> None:
        """Take in the largest weight that a neighbor uses."""

    @abstractmethod
    def reject(self) -> None:
        """The true cost did not decrease as the model foretold."""


@final
class ConstantWeight(ProximalWeightRule):
    """The same τ always, but for steps that would raise the agent's true cost."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self.weight = weight

    def observe(self, unforeseen_curvature: float, *, is_blind: bool) -> None:
        self.weight = self._weight

    def follow(self, neighbor_weight: float) -> None: ...

    def reject(self) -> None:
        self.weight *= 2.0


@final
class SecantWeight(ProximalWeightRule):
    """τ⁺ = max(1.5 δ, (1 − fading) τ), and at most 2 τ; never less than a neighbor's.

    A weight that was needed is remembered, and spread from neighbor to neighbor, but the memory fades, so that nothing
    sticks and nothing has to be tuned, whatever τ is first. The fading, 0.2 at first, becomes a tenth slower with every
    violation (1.5 δ > τ): whoever has tried too small a weight often tries it seldom, and comes to rest. Growth is
    bounded because δ also rises when disagreement, not curvature, turns the direction. Nothing fades while δ may be
    blind: along a way that momentum has made long it does not show all that grows across it.
    """

    CAUTION = 1.5
    MAX_GROWTH = 2.0
    FIRST_FADING = 0.2
    SLOWING = 0.9

    def __init__(self, weight: float = 0.1) -> None:
        self.weight = weight
        self._fading = self.FIRST_FADING

    def observe(self, unforeseen_curvature: float, *, is_blind: bool) -> None:
        needed = self.CAUTION * unforeseen_curvature
        if needed > self.weight:
            self.weight = min(needed, self.MAX_GROWTH * self.weight)
            self._fading *= self.SLOWING
        elif not is_blind:
            self.weight = max(needed, (1.0 - self._fading) * self.weight)

    def follow(self, neighbor_weight: float) -> None:
        self.weight = max(self.weight, neighbor_weight)

    def reject(self) -> None:
        self.weight *= 2.0
