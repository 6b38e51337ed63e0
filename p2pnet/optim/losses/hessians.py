"""Second derivatives of mean losses with respect to the predictions: one small matrix for each sample."""

from abc import ABC, abstractmethod
from typing import final

import numpy as np

from p2pnet.optim.arrays import Array


class Hessian(ABC):
    """The second derivative of a mean loss with respect to the predictions: one small matrix for each sample."""

    @abstractmethod
    def apply(self, tangents: Array) -> Array:
        """H_i t_i for each sample, (n_samples, n_outputs); a new array."""

    @abstractmethod
    def root(self) -> Array:
        """R with H_i = R_i R_iᵀ, (n_samples, n_outputs, rank)."""

    @abstractmethod
    def scaled(self, factor: float) -> "Hessian":
        """H times a factor."""


@final
class DiagonalHessian(Hessian):
    """H_i = diag(h_i): outputs do not interact."""

    def __init__(self, diagonal: Array) -> None:
        self._diagonal = diagonal

    def apply(self, tangents: Array) -> Array:
        return tangents * self._diagonal

    def root(self) -> Array:
        n_outputs = self._diagonal.shape[1]
        R: Array = np.sqrt(self._diagonal)[:, :, np.newaxis] * np.eye(n_outputs, dtype=self._diagonal.dtype)
        return R

    def scaled(self, factor: float) -> "DiagonalHessian":
        return DiagonalHessian(factor * self._diagonal)


@final
class SoftmaxHessian(Hessian):
    """H_i = s_i (diag(p_i) − p_i p_iᵀ), p_i the probabilities, s_i the weight of the sample in the mean."""

    def __init__(self, probabilities: Array, mean_weights: float | Array) -> None:
        self._probabilities = probabilities
        self._weighted = probabilities * mean_weights
        self._mean_weights = mean_weights

    def apply(self, tangents: Array) -> Array:
        expected = np.einsum("ik,ik->i", self._probabilities, tangents)
        result: Array = tangents - expected[:, np.newaxis]
        result *= self._weighted
        return result

    def root(self) -> Array:
        # (diag √p − p √pᵀ)(…)ᵀ = diag p − 2 p pᵀ + p pᵀ, since Σ p = 1.
        P = self._probabilities
        root = np.sqrt(P)
        R = -P[:, :, np.newaxis] * root[:, np.newaxis, :]
        diagonal = np.arange(P.shape[1])
        R[:, diagonal, diagonal] += root
        R *= np.sqrt(np.asarray(self._mean_weights, dtype=P.dtype)).reshape(-1, 1, 1)
        return R

    def scaled(self, factor: float) -> "SoftmaxHessian":
        return SoftmaxHessian(self._probabilities, factor * self._mean_weights)
