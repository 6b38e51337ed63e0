"""How far an agent goes towards its best response: z = w + step_size · (v − w)."""

from abc import ABC, abstractmethod
from typing import final


class StepSizeRule(ABC):
    """Chooses the step size of each local step."""

    @abstractmethod
    def next(self) -> float:
        """The step size of the next local step, above 0 and at most 1."""


@final
class FullStep(StepSizeRule):
    """All the way: the proximal weight alone keeps steps short enough."""

    def next(self) -> float:
        return 1.0


@final
class DiminishingStep(StepSizeRule):
    """α⁺ = α (1 − decay α), from `step_size`: α falls like 1 / (decay · t), so its sum has no bound and that of its
    squares has one, as NEXT's proof of convergence asks (Di Lorenzo and Scutari 2016, eq. 22).
    """

    def __init__(self, step_size: float, decay: float) -> None:
        self._step_size = step_size
        self._decay = decay

    def next(self) -> float:
        step_size = self._step_size
        self._step_size *= 1.0 - self._decay * step_size
        return step_size
