"""Models f(w; x) as functions of one flat parameter vector, and their Jacobian products.

`Model` and `Linearization` are all that solvers and surrogates know of a network. `Mlp` and `UserModel` implement
them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.optim.arrays import Array, BoolArray, IndexArray
from p2pnet.optim.input_span import InputSpan


@dataclass(frozen=True, slots=True)
class Neuron:
    """One neuron: where its fan-in weights and its bias stand in the flat parameter vector."""

    weights: IndexArray
    bias: int
    fan_out: int
    """neurons that it feeds; 0 for an output"""

    @property
    def is_output(self) -> bool:
        return self.fan_out == 0


class Linearization(ABC):
    """f(w; X) and J(w), the Jacobian of the predictions with respect to (a block of) the parameters, as an operator.

    Not safe for use by several threads at once: it may keep work arrays.
    """

    predictions: Array
    """f(w; X), (n_samples, n_outputs)"""

    n_params: int
    """length of the steps that `jvp` takes: all parameters, or those of the block"""

    forms_jacobian: bool = False
    """whether `jacobian` is cheaper than n_params products"""

    @abstractmethod
    def jvp(self, step: Array) -> Array:
        """J step, (n_samples, n_outputs); a new array."""

    @abstractmethod
    def vjp(self, cotangents: Array) -> Array:
        """Jᵀ u summed over samples and outputs, (n_params,); a new array. `cotangents`: (n_samples, n_outputs)."""

    def along(self, scores: Array) -> "Linearization":
        """The same linearization as a function of coordinates in the model's `input_span`: with `scores` for inputs."""
        raise NotImplementedError("models that find an input span override this")

    def restricted(self, block: slice) -> "Linearization":
        """The same linearization with J cut down to the columns of `block`, with work arrays of its own.

        This general form pads steps with zeros and costs as much as the whole; models override it to cost their part.
        """
        return PaddedRestriction(self, block)

    def jacobian(self) -> Array:
        """J itself, (n_samples · n_outputs, n_params), row by row over the outputs of a sample, sample by sample.

        This general form takes n_params products; models override it.
        """
        columns = np.eye(self.n_params, dtype=self.predictions.dtype)
        return np.stack([self.jvp(column).ravel() for column in columns], axis=1)

    def squared_column_norms(self, cotangents: Array) -> Array:
        """Σ_i Σ_r (J_iᵀ c_ir)², elementwise, (n_params,), for cotangents C (n_samples, n_outputs, rank):
        the diagonal of Jᵀ(C Cᵀ)J.

        Used to precondition. This general form goes through J itself; models override it.
        """
        n_samples, n_outputs, rank = cotangents.shape
        J = self.jacobian().reshape(n_samples, n_outputs, self.n_params)
        diagonal = np.zeros(self.n_params, dtype=J.dtype)
        for r in range(rank):
            rows = np.einsum("ik,ikp->ip", cotangents[:, :, r], J)
            diagonal += np.einsum("ip,ip->p", rows, rows)
        return diagonal


@final
class PaddedRestriction(Linearization):
    """A block of any linearization: steps are padded with zeros outside the block."""

    def __init__(self, whole: Linearization, block: slice) -> None:
        self._whole = whole
        self._block = block
        self.predictions = whole.predictions
        self.n_params = len(range(*block.indices(whole.n_params)))

    def jvp(self, step: Array) -> Array:
        padded = np.zeros(self._whole.n_params, dtype=step.dtype)
        padded[self._block] = step
        return self._whole.jvp(padded)

    def vjp(self, cotangents: Array) -> Array:
        return self._whole.vjp(cotangents)[self._block]

    def jacobian(self) -> Array:
        return self._whole.jacobian()[:, self._block]

    def squared_column_norms(self, cotangents: Array) -> Array:
        return self._whole.squared_column_norms(cotangents)[self._block]


class Model(ABC):
    """A network f(w; x) with n_inputs inputs, n_outputs outputs and a flat vector w of n_params parameters."""

    @property
    @abstractmethod
    def n_inputs(self) -> int: ...

    @property
    @abstractmethod
    def n_outputs(self) -> int: ...

    @property
    @abstractmethod
    def n_params(self) -> int: ...

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[np.floating]:
        """float64 or float32: of parameters, inputs and predictions alike."""

    @property
    def n_numbers_per_sample(self) -> int:
        """About how many numbers a linearization keeps for each sample, besides its inputs."""
        return 8 * self.n_outputs

    @property
    def epsilon(self) -> float:
        """The relative rounding of predictions: that of `dtype`, unless they are computed in another precision."""
        return float(np.finfo(self.dtype).eps)

    @abstractmethod
    def describe(self) -> str:
        """A short name such as "mlp 64-32-10 tanh"; agents compare it before they train together."""

    @abstractmethod
    def init(self, rng: np.random.Generator) -> Array:
        """Random initial parameters, (n_params,); the same for the same state of `rng`."""

    @abstractmethod
    def predict(self, params: Array, X: Array) -> Array:
        """f(w; X), (n_samples, n_outputs), for X (n_samples, n_inputs)."""

    @abstractmethod
    def linearize(self, params: Array, X: Array) -> Linearization:
        """f(w; X) and its Jacobian at `params`, which the caller must not change while the linearization is in use."""

    def input_span(self, X: Array, rng: np.random.Generator) -> InputSpan | None:
        """Where most of what the inputs X (n_samples, n_inputs) do to the first layer lies, if that is much less than
        the whole.
        """
        return None

    @abstractmethod
    def is_bias(self) -> BoolArray:
        """(n_params,): true where the parameter is a bias, which penalties leave out unless asked."""

    @abstractmethod
    def neurons(self) -> tuple[Neuron, ...]:
        """The neurons, in the order of their parameters; empty if the model does not know its own."""
