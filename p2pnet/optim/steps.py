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
    def observe(self, unforeseen_curvature: float) -> None:
        """Take in δ, the curvature that the last local step met along its way and its model had left out:

        δ = |sᵀ(ŷ⁺ − ŷ) − scale·sᵀ(∇g̃(w⁺) − ∇g̃(w))| / sᵀs,  s = w⁺ − w.
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

    def observe(self, unforeseen_curvature: float) -> None:  # noqa: ARG002
        self.weight = self._weight

    def follow(self, neighbor_weight: float) -> None: ...

    def reject(self) -> None:
        self.weight *= 2.0


@final
class SecantWeight(ProximalWeightRule):
    """τ follows the unforeseen curvature δ: at least 1.2 δ after a step with δ > τ, and 0.7 τ after `patience` steps
    without one, the patience growing by half with every violation; never less than a neighbor's.
    """

    def __init__(self, weight: float = 0.1, patience: float = 3.0) -> None:
        self.weight = weight
        self._patience = patience
        self._n_calm = 0

    def observe(self, unforeseen_curvature: float) -> None:
        if unforeseen_curvature > self.weight:
            self.weight = 1.2 * unforeseen_curvature
            self._patience *= 1.5
            self._n_calm = 0
            return
        self._n_calm += 1
        if self._n_calm >= self._patience:
            self.weight *= 0.7
            self._n_calm = 0

    def follow(self, neighbor_weight: float) -> None:
        self.weight = max(self.weight, neighbor_weight)

    def reject(self) -> None:
        self.weight *= 2.0
