"""Models of single precision: trained in float32 throughout, and as far down as float32 allows."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.solvers import SOLVERS
from p2pnet.catalogue.surrogates import SURROGATES
from p2pnet.optim.blocks import partition
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.local_optimizer import LocalOptimizer
from p2pnet.optim.losses.by_name import loss_by_name
from p2pnet.optim.models.base import Model
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.models.user_model import UserModel
from p2pnet.optim.penalties.base import SmoothPenalty
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.proximal_weight import SecantWeight
from p2pnet.optim.solvers.best_response import BestResponseSolver
from p2pnet.optim.step_sizes import MomentumStep
from p2pnet.optim.surrogates.by_name import surrogate_by_name

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6))
CLASSES = RNG.integers(0, 3, 40)
MODEL = Mlp((6, 5, 3), dtype=np.float32)
NUMBERS = {"l2": (1e-3,), "l1": (1e-3,), "elastic-net": (1e-3, 0.5), "group": (1e-3,), "box": (-0.5, 0.5)}
KEPT = {
    f"p2pnet.optim.penalties.{name}"
    for name in (
        "base:masked the result",
        "base:in_precision_of weights",
        "squared_l2:SquaredL2.curvature the result",
        "group_l2:GroupL2._norms norms",
    )
}
"""The weights that a penalty was made with, and sums over the parameters of a group."""


@contextmanager
def double_arrays() -> Iterator[set[str]]:
    """Collect where a function of `p2pnet.optim` ends with a float64 array among its variables or as its result."""
    found: set[str] = set()

    def is_double(value: object) -> bool:
        if isinstance(value, tuple | list):
            return any(map(is_double, value))
        return isinstance(value, np.ndarray | np.generic) and value.dtype == np.float64

    def at_return(frame: FrameType, event: str, result: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "return" and module.startswith("p2pnet.optim"):
            held = {**frame.f_locals, "the result": result}
            where = f"{module}:{frame.f_code.co_qualname}"
            found.update(f"{where} {name}" for name, value in held.items() if is_double(value))

    sys.setprofile(at_return)
    try:
        yield found
    finally:
        sys.setprofile(None)
        found -= KEPT


def optimizer_of(penalty: str, *, surrogate: str, solver: str, samples: int | None, n_blocks: int) -> LocalOptimizer:
    weights = RNG.uniform(0.5, 2.0, len(X)) if samples else None
    return LocalOptimizer(
        LocalObjective(MODEL, loss_by_name("softmax-cross-entropy", {}), X, CLASSES, weights, n_chunks=2),
        penalty_by_name(penalty, MODEL, *NUMBERS.get(penalty, ())),
        surrogate_by_name(surrogate, {"curvature_samples": samples}),
        SecantWeight(),
        np.random.default_rng(0),
        response_solver=BestResponseSolver(solver, partition(MODEL, n_blocks) if n_blocks > 1 else ()),
        step_sizes=MomentumStep(),
    )


def fitting_solvers(penalty: str, surrogate: str) -> list[str]:
    """Names of the solvers for the penalty and the surrogate, and "auto"."""
    kinds = ("any", "smooth" if PENALTIES[penalty].is_smooth else "nonsmooth")
    fit = [s for s in SOLVERS if s.penalties in kinds and (not s.surrogates or surrogate in s.surrogates)]
    return ["auto", *(each.name for each in fit)]


@pytest.mark.parametrize("samples", [None, 20], ids=["all samples", "some weighted samples"])
@pytest.mark.parametrize("n_blocks", [1, 2])
@pytest.mark.parametrize("surrogate", [entry.name for entry in SURROGATES])
@pytest.mark.parametrize("penalty", [entry.name for entry in PENALTIES])
def test_local_steps_with_any_penalty_surrogate_and_solver(
    penalty: str, surrogate: str, n_blocks: int, samples: int | None
) -> None:
    for solver in fitting_solvers(penalty, surrogate):
        optimizer = optimizer_of(penalty, surrogate=surrogate, solver=solver, samples=samples, n_blocks=n_blocks)
        w = optimizer.penalty.prox(MODEL.init(np.random.default_rng(1)), 0.0)
        with double_arrays() as found:
            for _ in range(14):
                gradient = optimizer.evaluate(w).gradient_at_origin
                w = optimizer.step(w, gradient, neighbor_weight=0.0, is_direction_exact=True).proposal
        assert not found, solver
        assert w.dtype == np.float32


@pytest.mark.parametrize("penalty", [entry.name for entry in PENALTIES])
def test_a_penalty_by_itself(penalty: str) -> None:
    r = penalty_by_name(penalty, MODEL, *NUMBERS.get(penalty, ()))
    w = MODEL.init(np.random.default_rng(2))
    with double_arrays() as found:
        v = r.prox(w, 0.1)
        r.value(v), r.optimality_distance(v, w)
        if isinstance(r, SmoothPenalty):
            r.gradient(v)
    assert not found


def test_float64_arrays_would_be_found() -> None:
    with double_arrays() as found:
        Mlp((6, 5, 3)).predict(np.zeros(53), X)
    assert "p2pnet.optim.models.mlp:Mlp.predict Z" in found
    assert "p2pnet.optim.models.activations.tanh:Tanh.value the result" in found


class Single:
    """A user's model that takes float64, computes in float32, and gives back float64 (or float32)."""

    name, version = "single", "1"

    def __init__(self, sizes: tuple[int, ...], gives: type) -> None:
        self._mlp, self._gives = Mlp(sizes, dtype=np.float32), gives
        self.n_inputs, self.n_outputs, self.n_params = sizes[0], sizes[-1], self._mlp.n_params
        self.bias_mask = self._mlp.is_bias()

    def init(self, rng: np.random.Generator) -> Any:
        return self._mlp.init(rng)

    def predict(self, params: Any, X: Any) -> Any:
        return self._mlp.predict(params.astype(np.float32), X.astype(np.float32)).astype(self._gives)

    def linearize(self, params: Any, X: Any) -> Any:
        given = self._mlp.linearize(params.astype(np.float32), X.astype(np.float32))
        return SimpleNamespace(
            predictions=given.predictions.astype(self._gives),
            jvp=lambda step: given.jvp(step.astype(np.float32)),
            vjp=lambda cotangents: given.vjp(cotangents.astype(np.float32)),
        )


SINGLE_MODELS: list[Model] = [
    Mlp((64, 8, 10), dtype=np.float32),
    UserModel(Single((64, 8, 10), np.float32)),
    UserModel(Single((64, 8, 10), np.float64)),
]


@pytest.mark.parametrize("model", SINGLE_MODELS, ids=["built in", "float32 given", "float64 given"])
def test_training_gets_to_a_residual_of_1e_5_and_the_proximal_weight_stays_low(model: Model) -> None:
    """A decrease that drowns in the rounding of float32 is no reason to reject a step."""
    digits, labels = load_digits(return_X_y=True)
    objective = LocalObjective(model, loss_by_name("softmax-cross-entropy", {}), digits[:150] / 16, labels[:150])
    optimizer = LocalOptimizer(
        objective,
        penalty_by_name("l2", model, 1e-2),
        surrogate_by_name("partial", {"curvature_samples": None}),
        SecantWeight(),
        np.random.default_rng(0),
        step_sizes=MomentumStep(),
    )
    w = model.init(np.random.default_rng(0))
    residuals, weights = [], []
    for _ in range(400):
        gradient = optimizer.evaluate(w).gradient_at_origin
        step = optimizer.step(w, gradient, neighbor_weight=0.0, is_direction_exact=True)
        residuals.append(step.residual)
        weights.append(step.proximal_weight)
        w = step.proposal
    assert min(residuals) <= 1e-5 * residuals[0]
    assert max(weights) <= 10.0
    assert optimizer.objective.model.epsilon == np.finfo(np.float32).eps
