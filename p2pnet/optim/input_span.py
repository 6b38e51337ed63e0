"""The few directions in which an agent's inputs mostly vary, and the parameters of a first layer along them.

With X ≈ X Q Qᵀ, Q (n_inputs, rank) orthonormal, tangents of a first layer with weights W are those of a layer with the
weights W Q on the *scores* X Q: rank / n_inputs of the work. Inputs never change, so Q and the scores are found once.
"""

from collections.abc import Sequence
from typing import Final, final

import numpy as np

from p2pnet.optim.arrays import Array

MAX_RANK: Final = 64
MIN_INPUTS: Final = 4 * MAX_RANK
"""With fewer inputs there is little to gain."""
MIN_SAMPLES: Final = 2 * MAX_RANK
LEAST_MOMENT: Final = 0.03
"""Directions with less of the largest direction's second moment are left out."""
MOST_LEFT_OUT: Final = 0.1
"""Where a direction beyond `MAX_RANK` has as much of the largest one's moment, the inputs have no main directions."""
MAX_SAMPLES: Final = 512
"""that directions are found from"""
_N_SPARE: Final = 8


def main_directions(X: Array, rng: np.random.Generator) -> Array | None:
    """Q for inputs X (n_samples, n_inputs); None where X has too few inputs or samples, or varies in too many ways.

    By a randomized range finder with one power iteration (Halko, Martinsson and Tropp 2011): five products with X.
    """
    if X.shape[1] < MIN_INPUTS or len(X) < MIN_SAMPLES:
        return None
    X = X[:: -(-len(X) // MAX_SAMPLES)]
    start = rng.standard_normal((len(X), MAX_RANK + _N_SPARE)).astype(X.dtype)
    Y, _ = np.linalg.qr(X.T @ start)
    Y, _ = np.linalg.qr(X.T @ (X @ Y))
    scores = X @ Y
    moments, vectors = np.linalg.eigh(scores.T @ scores)
    moments, vectors = moments[::-1], vectors[:, ::-1]
    if not moments[MAX_RANK] < MOST_LEFT_OUT * moments[0]:
        return None
    rank = int(np.count_nonzero(moments[:MAX_RANK] >= LEAST_MOMENT * moments[0]))
    return np.ascontiguousarray(Y @ vectors[:, :rank])


@final
class InputSpan:
    """Vectors of parameters whose first layer's weights lie in the span of Q, by their coordinates.

    A vector is `n_neurons` rows of n_inputs weights and a bias, and a rest; its coordinates are as many rows of rank
    weights and a bias, and the same rest. `expanded` is an isometry, `projected` its transpose.
    """

    def __init__(self, Q: Array, n_neurons: int, n_params: int) -> None:
        self.Q = Q
        n_inputs, self.rank = Q.shape
        self._n_neurons = n_neurons
        self._n_first, self._n_thin = n_neurons * (n_inputs + 1), n_neurons * (self.rank + 1)
        self.n_params = n_params
        self.n_coordinates = n_params - self._n_first + self._n_thin
        self._scores: list[tuple[Array, Array]] = []

    def keep_scores(self, inputs: Sequence[Array]) -> None:
        """Compute the scores of these inputs now, so that `scores` need not do it again."""
        self._scores = [(X, X @ self.Q) for X in inputs]

    def scores(self, X: Array) -> Array:
        """X Q, (n_samples, rank)."""
        for known, scores in self._scores:
            if known is X:
                return scores
        return X @ self.Q

    def projected(self, vector: Array) -> Array:
        """(n_coordinates,) from (n_params,); a new array."""
        result = np.empty(self.n_coordinates, dtype=vector.dtype)
        full, thin = self._rows(vector), self._thin_rows(result)
        np.matmul(full[:, :-1], self.Q, out=thin[:, :-1])
        thin[:, -1] = full[:, -1]
        result[self._n_thin :] = vector[self._n_first :]
        return result

    def expanded(self, coordinates: Array) -> Array:
        """(n_params,) from (n_coordinates,); a new array."""
        result = np.empty(self.n_params, dtype=coordinates.dtype)
        full, thin = self._rows(result), self._thin_rows(coordinates)
        np.matmul(thin[:, :-1], self.Q.T, out=full[:, :-1])
        full[:, -1] = thin[:, -1]
        result[self._n_first :] = coordinates[self._n_thin :]
        return result

    def diagonal_in_coordinates(self, diagonal: float | Array) -> float | Array | None:
        """A diagonal of parameters as one of coordinates; None unless it is the same along all weights of a neuron."""
        if not isinstance(diagonal, np.ndarray):
            return diagonal
        full = self._rows(diagonal)
        if np.any(full[:, :-1] != full[:, :1]):
            return None
        result = np.empty(self.n_coordinates, dtype=diagonal.dtype)
        thin = self._thin_rows(result)
        thin[:] = full[:, :1]
        thin[:, -1] = full[:, -1]
        result[self._n_thin :] = diagonal[self._n_first :]
        return result

    def _rows(self, vector: Array) -> Array:
        return vector[: self._n_first].reshape(self._n_neurons, -1)

    def _thin_rows(self, coordinates: Array) -> Array:
        return coordinates[: self._n_thin].reshape(self._n_neurons, -1)
