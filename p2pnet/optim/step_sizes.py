"""Step sizes and momentum: from the best response v to the proposal z."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final, final

import numpy as np

from p2pnet.optim.arrays import Array

N_STEPS: Final = "n_steps"
"""The name of the number of steps among the numbers that a later run goes on with."""


class StepSizeRule(ABC):
    """Maps parameters w and best response v to the proposal z that an agent sends."""

    @abstractmethod
    def proposal(self, params: Array, best_response: Array, previous: Array | None, disagreement: float) -> Array:
        """z, (n_params,), from w = `params` and v = `best_response`.

        `previous` is w at the last local step, if there was one, and `disagreement` the distance to the neighbor that
        was farthest away in the last exchange.
        """

    def state(self) -> dict[str, float]:
        """The numbers that a later run goes on with; none where the rule remembers nothing."""
        return {}

    def restore(self, state: Mapping[str, float]) -> None:  # noqa: B027  (not every rule remembers something)
        """Go on from the numbers of an earlier run; those that are missing stay as they are."""


@final
class FullStep(StepSizeRule):
    """z = v: the proximal weight alone keeps steps short enough."""

    def proposal(self, params: Array, best_response: Array, previous: Array | None, disagreement: float) -> Array:
        return best_response


@final
class DiminishingStep(StepSizeRule):
    """z = w + α (v − w), α⁺ = α (1 − decay α), from `step_size`: α falls like 1 / (decay · t), so its sum has no bound
    and that of its squares has one, as NEXT's proof of convergence asks (Di Lorenzo and Scutari 2016, eq. 22).
    """

    def __init__(self, step_size: float, decay: float) -> None:
        self._step_size = step_size
        self._decay = decay

    def proposal(self, params: Array, best_response: Array, previous: Array | None, disagreement: float) -> Array:
        step_size = self._step_size
        self._step_size *= 1.0 - self._decay * step_size
        return best_response if step_size == 1.0 else params + step_size * (best_response - params)

    def state(self) -> dict[str, float]:
        return {"step_size": self._step_size}

    def restore(self, state: Mapping[str, float]) -> None:
        self._step_size = state.get("step_size", self._step_size)


@final
class MomentumStep(StepSizeRule):
    """z = v + β (w − w⁻) with w⁻ the parameters at the last local step, and

        β = min(0.9, t / (t + 3)) · max(0, 1 − disagreement / ‖w − w⁻‖).

    t counts the steps since the last restart, a step with (w − v)ᵀ(w − w⁻) > 0, which has no momentum (Nesterov 1983;
    O'Donoghue and Candès 2015). Along directions of little curvature a best response covers only curvature / proximal
    weight of the distance to the solution, a hundredth or less; momentum covers ten times as much. The second factor
    keeps momentum for displacements that all agents share: it does not amplify their disagreement.

    The first steps, in which agents still disagree about everything, have no momentum.
    """

    MOST = 0.9
    N_FIRST_STEPS = 10

    def __init__(self) -> None:
        self._n_steps = 0
        self._n_forward = 0

    def proposal(self, params: Array, best_response: Array, previous: Array | None, disagreement: float) -> Array:
        self._n_steps += 1
        if previous is None or self._n_steps <= self.N_FIRST_STEPS:
            return best_response
        displacement = params - previous
        if float((params - best_response) @ displacement) > 0.0:
            self._n_forward = 0
            return best_response
        self._n_forward += 1
        length = float(np.linalg.norm(displacement))
        if length <= disagreement:
            return best_response
        momentum = min(self.MOST, self._n_forward / (self._n_forward + 3)) * (1.0 - disagreement / length)
        # What a penalty has set to 0 stays there, or else it would never be 0 at all agents.
        return np.where(best_response == 0.0, 0.0, best_response + momentum * displacement).astype(
            best_response.dtype, copy=False
        )

    def state(self) -> dict[str, float]:
        return {N_STEPS: self._n_steps, "n_forward": self._n_forward}

    def restore(self, state: Mapping[str, float]) -> None:
        self._n_steps = int(state.get(N_STEPS, self._n_steps))
        self._n_forward = int(state.get("n_forward", self._n_forward))
