"""An agent's own cost: a weighted mean over its samples, the same however they are cut into chunks."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from p2pnet.errors import DataError
from p2pnet.optim import local_objective
from p2pnet.optim.arrays import AnyArray
from p2pnet.optim.local_objective import MAX_WORK, LocalObjective, cut
from p2pnet.optim.local_optimizer import LocalOptimizer
from p2pnet.optim.losses.half_squared import HalfSquared
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.proximal_weight import SecantWeight
from p2pnet.optim.surrogates.partial import PartialLinearization

MODEL = Mlp((4, 5, 3))


def samples(n_samples: int = 23) -> tuple[AnyArray, AnyArray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n_samples, 4)), rng.integers(0, 3, n_samples)


def test_gradient_is_the_derivative_of_value() -> None:
    cost = LocalObjective(MODEL, SoftmaxCrossEntropy(), *samples())
    rng = np.random.default_rng(1)
    w, t, h = MODEL.init(rng), rng.standard_normal(MODEL.n_params), 1e-5
    value, gradient = cost.value_and_gradient(w)
    assert value == cost.value(w)
    np.testing.assert_array_equal(gradient, cost.gradient(w))
    assert gradient @ t == pytest.approx((cost.value(w + h * t) - cost.value(w - h * t)) / (2 * h), abs=1e-8)


@pytest.mark.parametrize("n_chunks", [2, 3, 100])
def test_chunks_and_threads_change_nothing(n_chunks: int) -> None:
    X, Y = samples()
    weights = np.random.default_rng(3).uniform(0.0, 2.0, len(X))
    w = MODEL.init(np.random.default_rng(1))
    whole = LocalObjective(MODEL, SoftmaxCrossEntropy(), X, Y, weights)
    with ThreadPoolExecutor(2) as pool:
        parts = LocalObjective(MODEL, SoftmaxCrossEntropy(), X, Y, weights, n_chunks=n_chunks, chunk_map=pool.map)
        np.testing.assert_allclose(parts.gradient(w), whole.gradient(w), rtol=1e-12, atol=1e-14)
        assert parts.value(w) == pytest.approx(whole.value(w), rel=1e-13)
        np.testing.assert_array_equal(parts.gradient(w), parts.gradient(w))


def test_weights_count_samples_in_the_mean_and_in_their_number() -> None:
    X, Y = samples(3)
    w = MODEL.init(np.random.default_rng(1))
    weighted = LocalObjective(MODEL, SoftmaxCrossEntropy(), X, Y, np.array([2.0, 0.0, 1.0]))
    repeated = LocalObjective(MODEL, SoftmaxCrossEntropy(), X[[0, 0, 2]], Y[[0, 0, 2]])
    assert weighted.n_samples == repeated.n_samples == 3.0
    assert weighted.value(w) == pytest.approx(repeated.value(w), rel=1e-14)
    np.testing.assert_allclose(weighted.gradient(w), repeated.gradient(w), atol=1e-15)


def test_many_samples_are_cut_into_chunks_of_bounded_work() -> None:
    n_samples = 3 * (MAX_WORK // MODEL.n_numbers_per_sample) + 1
    X, Y = np.zeros((n_samples, 4), np.float32), np.zeros(n_samples, int)
    X[:: len(X) // 7] = 1.0
    cost = LocalObjective(MODEL, SoftmaxCrossEntropy(), X, Y)
    assert len(cost.chunks) == 4
    assert max(len(chunk.samples.X) for chunk in cost.chunks) * MODEL.n_numbers_per_sample <= MAX_WORK
    assert sum(chunk.share for chunk in cost.chunks) == pytest.approx(1.0)
    few = LocalObjective(MODEL, SoftmaxCrossEntropy(), *samples())
    assert len(few.chunks) == 1


def test_work_memory_of_local_steps_does_not_grow_with_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_objective, "MAX_WORK", 200_000)
    monkeypatch.setattr(local_objective, "MAX_KEPT", 400_000)
    peaks = [peak_of_two_steps(n_samples) for n_samples in (5_000, 40_000)]
    # Draws of some of the samples take a few whole numbers for each of them; the inputs themselves are 1.6 MB.
    assert peaks[1] < 1.1 * peaks[0] + 24 * 40_000
    assert peaks[1] < 8 * (2 * 400_000 + 3 * 200_000)


def peak_of_two_steps(n_samples: int) -> int:
    """Bytes of work, besides the samples, of two local steps; their gradients are those of all samples."""
    model, rng = Mlp((5, 32, 3)), np.random.default_rng(0)
    objective = LocalObjective(
        model, SoftmaxCrossEntropy(), rng.standard_normal((n_samples, 5)), np.arange(n_samples) % 3
    )
    penalty = penalty_by_name("l2", model, 1e-3)
    optimizer = LocalOptimizer(objective, penalty, PartialLinearization(), SecantWeight(), rng, max_solver_iterations=2)
    w = model.init(rng)
    tracemalloc.start()
    try:
        for _ in range(2):
            gradient = optimizer.evaluate(w).gradient_at_origin
            np.testing.assert_array_equal(gradient, objective.gradient(w))
            w = optimizer.step(w, gradient, neighbor_weight=0.0, is_direction_exact=True).proposal
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_chunks_without_weight_are_left_out() -> None:
    X, Y = samples(4)
    cost = LocalObjective(MODEL, SoftmaxCrossEntropy(), X, Y, np.array([0.0, 0.0, 1.0, 1.0]))
    assert [chunk.share for chunk in cut(cost.samples, 2)] == [1.0]


def test_a_float32_model_computes_in_float32() -> None:
    model = Mlp((4, 5, 3), dtype=np.float32)
    X, _ = samples()
    cost = LocalObjective(model, HalfSquared(), X, np.ones((len(X), 3)), np.ones(len(X)))
    assert cost.gradient(model.init(np.random.default_rng(0))).dtype == np.float32


@pytest.mark.parametrize(
    ("X", "Y", "weights", "message"),
    [
        (np.zeros((3, 5)), np.zeros(3), None, r"needs \(n_samples, 4\)"),
        (np.zeros((3, 4)), np.zeros(2), None, "3 rows of inputs and 2 targets"),
        (np.zeros((0, 4)), np.zeros(0), None, "at least one"),
        (np.full((3, 4), np.nan), np.zeros(3), None, "not a finite number"),
        (np.zeros((3, 4)), np.zeros(3), np.ones(2), r"expected \(3,\)"),
        (np.zeros((3, 4)), np.zeros(3), np.array([1.0, -1.0, 1.0]), "0 or more"),
        (np.zeros((3, 4)), np.zeros(3), np.zeros(3), "not all 0"),
    ],
)
def test_data_that_does_not_fit_is_refused(X: AnyArray, Y: AnyArray, weights: AnyArray | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        LocalObjective(MODEL, SoftmaxCrossEntropy(), X, Y, weights)
