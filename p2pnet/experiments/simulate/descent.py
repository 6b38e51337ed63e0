"""DGD and D-PSGD: local gradient steps, with consensus by parameter mixing alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import numpy as np
from numpy.typing import NDArray

from p2pnet.optim.arrays import Array
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.penalties.base import Penalty
from p2pnet.protocol.core.effects import Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Evaluated, LocalStepDone
from p2pnet.training.learner import Learner, Observation


@final
class DescentLearner(Learner):
    """Computes z = prox_{α r}(w − α (n_k / n̄) ∇mean_k(w)), to be mixed with the neighbors' proposals.

    With all samples DGD (Nedić and Ozdaglar 2009, here with a prox), with a minibatch drawn anew for each step D-PSGD
    (Lian et al. 2017). A constant step size α leaves the agents off the solution by an amount of its order, since each
    of them is pulled towards the solution of its own samples.
    """

    def __init__(
        self,
        cost: LocalObjective,
        penalty: Penalty,
        test_metric: Callable[[Array], float],
        *,
        step_size: float,
        batch_size: int | None,
        rng: np.random.Generator,
    ) -> None:
        n_rows = len(cost.samples.X)
        self._cost = cost
        self._penalty = penalty
        self._test_metric = test_metric
        self._step_size = step_size
        self._batch_size = None if batch_size is None or batch_size >= n_rows else batch_size
        self._rng = rng
        self.gradient_fraction = 1.0 if self._batch_size is None else self._batch_size / n_rows
        self._params: Array = np.zeros(0)
        self._gradient: NDArray[np.float64] = np.zeros(0)

    def evaluate(self, effect: Evaluate) -> Evaluated:
        self._params = effect.params.astype(self._cost.model.dtype, copy=False)
        self._gradient = self._draw_gradient(self._params).astype(np.float64)
        n_samples = self._cost.n_samples
        return Evaluated(effect.round, n_samples * self._gradient, n_samples)

    def observe(self) -> Observation:
        objective = self._cost.value(self._params) + self._penalty.value(self._params)
        return Observation(objective, self._test_metric(self._params), 1.0 / self._step_size)

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        own = self._cost.n_samples / effect.mean_samples * self._gradient
        proposal = self._penalty.prox(effect.params - self._step_size * own, self._step_size).astype(np.float64)
        # Stationarity is judged by the network's gradient, which is tracked for that purpose.
        residual = np.linalg.norm(effect.params - self._penalty.prox(effect.params - effect.direction, 1.0))
        return LocalStepDone(effect.round, proposal, float(residual), 1.0 / self._step_size)

    def feasible(self, params: Array) -> Array:
        return self._penalty.prox(params, 0.0)

    def _draw_gradient(self, params: Array) -> Array:
        if self._batch_size is None:
            return self._cost.gradient(params)
        samples = self._cost.samples
        batch = samples.taken(self._rng.choice(len(samples.X), self._batch_size, replace=False))
        linearization = self._cost.model.linearize(params, batch.X)
        point = self._cost.loss.at(linearization.predictions, batch.targets, batch.weights)
        return linearization.vjp(point.gradient())
