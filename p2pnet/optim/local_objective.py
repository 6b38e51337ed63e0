"""The local objective: the mean loss of a model over the samples that it holds, with its gradient.

The samples may be cut into chunks that are worked on in parallel by a `map` of the caller's (that of a thread pool,
say); many samples are cut into more chunks, so that work arrays do not grow with them. Partial results are always added
in the order of the chunks, so that the sum does not depend on timing.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol, TypeVar, final

import numpy as np

from p2pnet.errors import DataError
from p2pnet.optim.arrays import AnyArray, Array
from p2pnet.optim.losses.base import Loss
from p2pnet.optim.models.base import Model

MAX_WORK: Final = 2_000_000
"""The most numbers in the work arrays of a chunk: 16 MB."""
MAX_KEPT: Final = 8_000_000
"""The most numbers that a linearization keeps, 64 MB; the last one is there until the next is."""
MIN_ROWS: Final = 256

Item = TypeVar("Item")
Result = TypeVar("Result")


class Map(Protocol):
    """Like the builtin map: results in the order of the items. NumPy lets go of the interpreter's lock in GEMMs, so a
    thread pool's map gives real parallelism; the owner of the pool also limits BLAS to one thread in it.
    """

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterable[Result]: ...


def serial_map(function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
    """The map of one thread: in order, without parallelism."""
    return map(function, items)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedSamples:
    """Inputs X (n_samples, n_inputs), encoded targets, and sample weights (n_samples,) or None (all equal)."""

    X: Array
    targets: AnyArray
    weights: Array | None

    @property
    def total_weight(self) -> float:
        """Σ of the weights; the number of samples if there are none."""
        return float(len(self.X)) if self.weights is None else float(self.weights.sum())

    def taken(self, rows: "slice | AnyArray") -> "EncodedSamples":
        """Select samples: a view for a slice, a copy for indices."""
        return EncodedSamples(self.X[rows], self.targets[rows], None if self.weights is None else self.weights[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A chunk of the samples, and its fraction of the total weight."""

    samples: EncodedSamples
    share: float


@final
class LocalObjective:
    """mean_k(w) = Σ_i s_i ℓ(d_i, f(w; x_i)) / Σ_i s_i over the samples of one agent.

    X (n_samples, n_inputs); Y as `Loss.encode` takes it; sample_weights (n_samples,), 0 or more, or None. Raises
    DataError if they do not fit each other or the model.
    """

    def __init__(
        self,
        model: Model,
        loss: Loss,
        X: AnyArray,
        Y: AnyArray,
        sample_weights: AnyArray | None = None,
        *,
        n_chunks: int = 1,
        chunk_map: Map = serial_map,
    ) -> None:
        if X.ndim != 2 or X.shape[1] != model.n_inputs:
            raise DataError(f"X has shape {X.shape}; {model.describe()} needs (n_samples, {model.n_inputs})")
        if len(X) == 0 or len(X) != len(Y):
            raise DataError(f"{len(X)} rows of inputs and {len(Y)} targets; as many of each are needed, at least one")
        inputs = np.ascontiguousarray(X, dtype=model.dtype)
        if not np.all(np.isfinite(inputs)):
            raise DataError("an input is not a finite number; leave such rows out")
        targets = loss.encode(Y, model.n_outputs)
        if np.issubdtype(targets.dtype, np.floating):
            targets = targets.astype(model.dtype, copy=False)
        self.model = model
        self.loss = loss
        self.samples = EncodedSamples(inputs, targets, _checked_weights(sample_weights, len(X), model.dtype))
        self.map = chunk_map
        self.max_linearized = max(MIN_ROWS, MAX_KEPT // (model.n_inputs + model.n_numbers_per_sample))
        """The most samples that a linearization may be kept of."""
        self._n_chunks = n_chunks
        self.chunks = self.cut(self.samples)

    def of(self, samples: EncodedSamples) -> "LocalObjective":
        """The same of some of the samples."""
        part = copy(self)
        part.samples, part.chunks = samples, part.cut(samples)
        return part

    @property
    def n_samples(self) -> float:
        """Σ s_i; the number of samples if they are not weighted."""
        return self.samples.total_weight

    def cut(self, samples: EncodedSamples) -> tuple[Chunk, ...]:
        """Cut samples into chunks, as many as asked for, or more where there are many samples."""
        max_rows = max(MIN_ROWS, MAX_WORK // self.model.n_numbers_per_sample)
        return cut(samples, max(self._n_chunks, -(-len(samples.X) // max_rows)))

    def value(self, params: Array) -> float:
        """mean_k(params)."""

        def of_chunk(chunk: Chunk) -> float:
            samples = chunk.samples
            predictions = self.model.predict(params, samples.X)
            return chunk.share * self.loss.value(predictions, samples.targets, samples.weights)

        return sum(self.map(of_chunk, self.chunks))

    def gradient(self, params: Array) -> Array:
        """∇ mean_k(params), (n_params,)."""
        return self.value_and_gradient(params)[1]

    def value_and_gradient(self, params: Array) -> tuple[float, Array]:
        """mean_k(params) and its gradient, for the price of the gradient."""

        def of_chunk(chunk: Chunk) -> tuple[float, Array]:
            samples = chunk.samples
            linearization = self.model.linearize(params, samples.X)
            point = self.loss.at(linearization.predictions, samples.targets, samples.weights)
            return chunk.share * point.value(), linearization.vjp(chunk.share * point.gradient())

        parts = iter(self.map(of_chunk, self.chunks))
        value, gradient = next(parts)
        for part_value, part_gradient in parts:
            value += part_value
            gradient += part_gradient
        return value, gradient


def cut(samples: EncodedSamples, n_chunks: int) -> tuple[Chunk, ...]:
    """Cut the samples, in order, into at most `n_chunks` chunks of nearly equal length."""
    n_rows = len(samples.X)
    bounds = np.linspace(0, n_rows, min(n_chunks, n_rows) + 1).astype(int)
    parts = [samples.taken(slice(start, stop)) for start, stop in pairwise(bounds)]
    whole = samples.total_weight
    return tuple(Chunk(part, part.total_weight / whole) for part in parts if part.total_weight > 0.0)


def ordered_sum(parts: list[Array]) -> Array:
    """Σ of the parts from the first to the last; may reuse the first."""
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total


def _checked_weights(weights: AnyArray | None, n_samples: int, dtype: np.dtype[np.floating]) -> Array | None:
    if weights is None:
        return None
    if np.shape(weights) != (n_samples,):
        raise DataError(f"sample weights have shape {np.shape(weights)}; expected ({n_samples},)")
    converted = np.asarray(weights, dtype=dtype)
    if not np.all(np.isfinite(converted)) or converted.min() < 0.0 or converted.sum() <= 0.0:
        raise DataError("sample weights must be finite, 0 or more, and not all 0")
    return converted
