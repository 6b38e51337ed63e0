"""Hessians of mean losses, against the matrices that they stand for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.optim.arrays import Array
from p2pnet.optim.losses.hessians import DiagonalHessian, Hessian, SoftmaxHessian

seeds = st.integers(0, 2**32 - 1)


def check(hessian: Hessian, matrices: Array, rng: np.random.Generator) -> None:
    """That `apply`, `root` and `scaled` are those of one matrix for each sample, (n_samples, n_outputs, n_outputs)."""
    T = rng.standard_normal(matrices.shape[:2])
    np.testing.assert_allclose(hessian.apply(T), np.einsum("iab,ib->ia", matrices, T), atol=1e-12)
    R = hessian.root()
    np.testing.assert_allclose(np.einsum("iar,ibr->iab", R, R), matrices, atol=1e-12)
    np.testing.assert_allclose(hessian.scaled(0.3).apply(T), 0.3 * hessian.apply(T), atol=1e-12)


@given(seed=seeds, n_outputs=st.integers(1, 4))
def test_a_diagonal_hessian(seed: int, n_outputs: int) -> None:
    rng = np.random.default_rng(seed)
    diagonal = rng.uniform(0.0, 2.0, (5, n_outputs))
    check(DiagonalHessian(diagonal), diagonal[:, :, np.newaxis] * np.eye(n_outputs), rng)


@given(seed=seeds, n_outputs=st.integers(2, 5), is_weighted=st.booleans())
def test_a_softmax_hessian(seed: int, n_outputs: int, is_weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(n_outputs), 5)
    weights = rng.uniform(0.0, 1.0, (5, 1)) if is_weighted else 0.2
    matrices = P[:, :, np.newaxis] * np.eye(n_outputs) - P[:, :, np.newaxis] * P[:, np.newaxis, :]
    check(SoftmaxHessian(P, weights), matrices * np.reshape(weights, (-1, 1, 1)), rng)
