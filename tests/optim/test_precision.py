"""A float32 model is trained in float32: no function of `p2pnet.optim` makes a longer float64 array on the way."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np
import pytest

from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.solvers import SOLVERS
from p2pnet.catalogue.surrogates import SURROGATES
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.local_optimizer import LocalOptimizer
from p2pnet.optim.losses.by_name import loss_by_name
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.base import SmoothPenalty
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.proximal_weight import SecantWeight
from p2pnet.optim.solvers.best_response import BestResponseSolver
from p2pnet.optim.solvers.blocks import partition
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
    """Collects where a function of `p2pnet.optim` ends with a float64 array among its variables or as its result."""
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
