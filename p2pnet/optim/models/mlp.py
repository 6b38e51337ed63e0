"""The multilayer perceptron over one flat parameter vector.

Layout: layer by layer, neuron by neuron, each neuron its fan-in weights and then its bias. So layer l is the matrix
(fan_out, fan_in + 1) in row-major order, a neuron is one row of it, and any run of neurons is one slice of the vector.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, final

import numpy as np
import numpy.typing as npt

from p2pnet.errors import ConfigError, ModelError
from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.input_span import InputSpan, main_directions
from p2pnet.optim.models.activations.by_name import activation_by_name
from p2pnet.optim.models.base import Linearization, Model, Neuron


@final
class Mlp(Model):
    """f(w; x) = W_L a_{L−1} + b_L with a_0 = x, a_l = φ(W_l a_{l−1} + b_l); no hidden layer gives the linear model.

    `sizes` is (n_inputs, hidden …, n_outputs). The last layer has no activation: losses take what it puts out.
    """

    def __init__(self, sizes: Sequence[int], activation: str = "tanh", dtype: npt.DTypeLike = np.float64) -> None:
        if len(sizes) < 2 or min(sizes) < 1:
            raise ConfigError(f"layer sizes {tuple(sizes)}: give at least inputs and outputs, each 1 or more")
        if np.dtype(dtype) not in (np.dtype(np.float64), np.dtype(np.float32)):
            raise ConfigError(f"dtype {np.dtype(dtype)}: parameters are float64 or float32")
        self.sizes = tuple(int(size) for size in sizes)
        self.activation = activation_by_name(activation)
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._offsets = [0]
        for fan_in, fan_out in pairwise(self.sizes):
            self._offsets.append(self._offsets[-1] + fan_out * (fan_in + 1))

    @property
    def n_inputs(self) -> int:
        return self.sizes[0]

    @property
    def n_outputs(self) -> int:
        return self.sizes[-1]

    @property
    def n_params(self) -> int:
        return self._offsets[-1]

    @property
    def n_layers(self) -> int:
        """Layers of weights: hidden layers + 1."""
        return len(self.sizes) - 1

    @property
    def dtype(self) -> np.dtype[np.floating]:
        return self._dtype

    @property
    def n_numbers_per_sample(self) -> int:
        # Of a hidden neuron its output, its slope and a tangent; the rest are points of the loss, and tangents.
        return 3 * sum(self.sizes[1:-1]) + 8 * self.n_outputs

    def describe(self) -> str:
        precision = "" if self._dtype == np.float64 else f" {self._dtype}"
        if self.n_layers == 1:
            return f"linear {self.n_inputs}-{self.n_outputs}{precision}"
        return f"mlp {'-'.join(map(str, self.sizes))} {self.activation.name}{precision}"

    def layer(self, params: Array, index: int) -> tuple[Array, Array]:
        """Views of layer `index` in `params`: weights (fan_out, fan_in) and biases (fan_out,)."""
        fan_in, fan_out = self.sizes[index], self.sizes[index + 1]
        matrix = params[self._offsets[index] : self._offsets[index + 1]].reshape(fan_out, fan_in + 1)
        return matrix[:, :-1], matrix[:, -1]

    def init(self, rng: np.random.Generator) -> Array:
        """Normal weights of variance 2 gain / (fan_in + fan_out) (Glorot) or, for relu and gelu, 2 / fan_in (He);
        the last layer, which has no activation, always Glorot's; zero biases.
        """
        params = np.zeros(self.n_params)
        for index in range(self.n_layers):
            W, _ = self.layer(params, index)
            fan_out, fan_in = W.shape
            is_last = index == self.n_layers - 1
            gain = 1.0 if is_last else self.activation.variance_gain
            variance = 2.0 / (fan_in + fan_out) if gain == 1.0 else gain / fan_in
            W[:] = rng.standard_normal(W.shape) * np.sqrt(variance)
        return params.astype(self._dtype)

    def predict(self, params: Array, X: Array) -> Array:
        A = self._checked(params, X)
        for index in range(self.n_layers):
            W, b = self.layer(params, index)
            Z = np.matmul(A, W.T)
            Z += b
            A = Z if index == self.n_layers - 1 else self.activation.value(Z)
        return A

    def linearize(self, params: Array, X: Array) -> "MlpLinearization":
        A = self._checked(params, X)
        inputs, slopes, weights = [A], [], []
        for index in range(self.n_layers):
            W, b = self.layer(params, index)
            weights.append(W)
            Z = np.matmul(A, W.T)
            Z += b
            if index < self.n_layers - 1:
                A, slope = self.activation.value_and_slope(Z)
                inputs.append(A)
                slopes.append(slope)
        rows = [range(size) for size in self.sizes[1:]]
        return MlpLinearization(self, _Caches(Z, inputs, slopes, weights), rows)

    def input_span(self, X: Array, rng: np.random.Generator) -> InputSpan | None:
        Q = main_directions(X, rng) if self.n_layers > 1 else None
        return None if Q is None else InputSpan(Q, self.sizes[1], self.n_params)

    def is_bias(self) -> BoolArray:
        mask = np.zeros(self.n_params, dtype=np.bool_)
        for index in range(self.n_layers):
            start, stop = self._offsets[index], self._offsets[index + 1]
            mask[start:stop].reshape(self.sizes[index + 1], -1)[:, -1] = True
        return mask

    def neurons(self) -> tuple[Neuron, ...]:
        neurons: list[Neuron] = []
        for index in range(self.n_layers):
            fan_in = self.sizes[index]
            fan_out = 0 if index == self.n_layers - 1 else self.sizes[index + 2]
            starts = range(self._offsets[index], self._offsets[index + 1], fan_in + 1)
            neurons += [Neuron(np.arange(start, start + fan_in), start + fan_in, fan_out) for start in starts]
        return tuple(neurons)

    def rows_of_block(self, block: slice) -> list[range]:
        """For each layer, the neurons whose parameters `block` holds; ConfigError if it cuts through a neuron."""
        start, stop, _ = block.indices(self.n_params)
        rows = []
        for index in range(self.n_layers):
            first, last = self._offsets[index], self._offsets[index + 1]
            width = self.sizes[index] + 1
            low, high = max(start, first) - first, min(stop, last) - first
            if low >= high:
                rows.append(range(0))
                continue
            if low % width or high % width:
                raise ConfigError(f"block {start}:{stop} cuts through a neuron of layer {index}; use whole neurons")
            rows.append(range(low // width, high // width))
        return rows

    def pruned(self, params: Array) -> tuple["Mlp", Array]:
        """The same function with fewer neurons: (smaller model, its parameters).

        A hidden neuron whose fan-in weights are all zero puts out the constant φ(b); it is dropped and the constant
        goes into the biases of the next layer, so predictions stay the same to rounding. One neuron a layer is kept.
        """
        layers = [tuple(part.copy() for part in self.layer(params, index)) for index in range(self.n_layers)]
        for index in range(self.n_layers - 1):
            (W, b), (W_next, b_next) = layers[index], layers[index + 1]
            is_live = np.any(W != 0.0, axis=1)
            is_live[0] |= not is_live.any()
            b_next = b_next + W_next[:, ~is_live] @ self.activation.value(b[~is_live])
            layers[index], layers[index + 1] = (W[is_live], b[is_live]), (W_next[:, is_live], b_next)
        sizes = [self.n_inputs, *(len(b) for _, b in layers)]
        smaller = Mlp(sizes, self.activation.name, self._dtype)
        return smaller, np.concatenate([np.column_stack(layer).ravel() for layer in layers])

    def transformed(
        self, params: Array, inputs: tuple[Array, Array], outputs: tuple[float, float] = (1.0, 0.0)
    ) -> Array:
        """The parameters w' that give the same function in other units: f(w'; x') = a f(w; u x' + v) + b.

        `inputs` is (u, v), each (n_inputs,), `outputs` is (a, b). With a_0 = u x' + v the first layer is
        W_1 diag(u) x' + (b_1 + W_1 v).
        """
        changed = params.copy()
        (factor, shift), (scale, offset) = inputs, outputs
        W, b = self.layer(changed, 0)
        b += W @ shift
        W *= factor
        W, b = self.layer(changed, self.n_layers - 1)
        W *= scale
        b *= scale
        b += offset
        return changed

    def _checked(self, params: Array, X: Array) -> Array:
        if params.shape != (self.n_params,):
            raise ModelError(f"{self.describe()} has {self.n_params} parameters, got an array of shape {params.shape}")
        if X.ndim != 2 or X.shape[1] != self.n_inputs:
            raise ModelError(f"{self.describe()} takes X of shape (n_samples, {self.n_inputs}), got {X.shape}")
        return X


@dataclass(frozen=True, slots=True)
class _Caches:
    """What the forward pass leaves behind: per layer its input, its weights; per hidden layer φ'(Z)."""

    predictions: Array
    inputs: list[Array]
    slopes: list[Array]
    weights: list[Array]


@dataclass(frozen=True, slots=True)
class _ActiveLayer:
    """One layer that tangents pass through, cut down to what the block touches.

    "Below" are the neurons of the layer below that carry a tangent: none for the lowest layer.
    """

    inputs: Array
    weights: Array
    """(fan_out, below)"""
    slope_below: Array
    """φ'(Z) of those below, (n_samples, below)"""
    work_below: Array
    """as `slope_below`: for tangents in the upward pass, for cotangents in the downward pass"""
    n_rows: int
    """neurons of this layer in the block"""
    span: slice
    """where their parameters stand in a step"""
    columns: slice
    """where they stand among the neurons of this layer that carry a tangent"""


@final
class MlpLinearization(Linearization):
    """Jacobian products of an `Mlp` for a run of neurons (all of them, or a block), two passes of GEMMs each.

    `rows` holds, for each layer, the neurons whose parameters may move. Layers below the first such neuron cost
    nothing, and of its own layer only the neurons of the block do.
    """

    forms_jacobian = True

    def __init__(self, model: Mlp, caches: _Caches, rows: list[range]) -> None:
        self._model = model
        self._caches = caches
        self.predictions = caches.predictions
        n_samples = len(self.predictions)
        self._ones = np.ones(n_samples, dtype=model.dtype)
        self._layers: list[_ActiveLayer] = []
        self.n_params = 0
        below = slice(0)
        lowest = next(index for index, in_block in enumerate(rows) if in_block)
        for index in range(lowest, model.n_layers):
            in_block = rows[index]
            weights = caches.weights[index][:, below]
            slope = caches.slopes[index - 1][:, below] if index > lowest else np.empty((n_samples, 0), model.dtype)
            own = slice(in_block.start, in_block.stop)
            # In the lowest layer only the neurons of the block carry a tangent; above it all of them do.
            is_narrowed = index == lowest < model.n_layers - 1
            below = own if is_narrowed else slice(None)
            columns = slice(None) if is_narrowed or len(in_block) == model.sizes[index + 1] else own
            start, self.n_params = self.n_params, self.n_params + len(in_block) * (model.sizes[index] + 1)
            self._layers.append(
                _ActiveLayer(
                    inputs=caches.inputs[index],
                    weights=weights,
                    slope_below=slope,
                    work_below=np.empty_like(slope, order="C"),
                    n_rows=len(in_block),
                    span=slice(start, self.n_params),
                    columns=columns,
                )
            )

    def along(self, scores: Array) -> "MlpLinearization":
        sizes = self._model.sizes
        thin = Mlp((scores.shape[1], *sizes[1:]), self._model.activation.name, self._model.dtype)
        caches = replace(self._caches, inputs=[scores, *self._caches.inputs[1:]])
        return MlpLinearization(thin, caches, [range(size) for size in sizes[1:]])

    def restricted(self, block: slice) -> "MlpLinearization":
        return MlpLinearization(self._model, self._caches, self._model.rows_of_block(block))

    def jvp(self, step: Array) -> Array:
        outputs = [layer.work_below for layer in self._layers[1:]] + [np.empty_like(self.predictions)]
        for index, (layer, Z) in enumerate(zip(self._layers, outputs, strict=True)):
            D = step[layer.span].reshape(layer.n_rows, layer.inputs.shape[1] + 1)
            if index == 0 and layer.n_rows == Z.shape[1]:
                np.matmul(layer.inputs, D[:, :-1].T, out=Z)
                Z += D[:, -1]
                continue
            tangents = np.multiply(layer.work_below, layer.slope_below, out=layer.work_below)
            np.matmul(tangents, layer.weights.T, out=Z)
            if layer.n_rows:
                own = np.matmul(layer.inputs, D[:, :-1].T)
                own += D[:, -1]
                Z[:, layer.columns] += own
        return outputs[-1]

    def vjp(self, cotangents: Array) -> Array:
        gradient = np.empty(self.n_params, dtype=self._model.dtype)
        for layer, U in self._cotangents_downwards(cotangents):
            if layer.n_rows:
                own = U[:, layer.columns]
                G = gradient[layer.span].reshape(layer.n_rows, -1)
                np.matmul(own.T, layer.inputs, out=G[:, :-1])
                np.matmul(self._ones, own, out=G[:, -1])
        return gradient

    def jacobian(self) -> Array:
        n_samples, n_outputs = self.predictions.shape
        J = np.empty((n_samples, n_outputs, self.n_params), dtype=self._model.dtype)
        for k in range(n_outputs):
            unit = np.zeros_like(self.predictions)
            unit[:, k] = 1.0
            for layer, U in self._cotangents_downwards(unit):
                if layer.n_rows:
                    own = U[:, layer.columns, np.newaxis]
                    rows = np.empty((n_samples, layer.n_rows, layer.inputs.shape[1] + 1), dtype=J.dtype)
                    np.multiply(own, layer.inputs[:, np.newaxis, :], out=rows[:, :, :-1])
                    rows[:, :, -1:] = own
                    J[:, k, layer.span] = rows.reshape(n_samples, -1)
        return J.reshape(n_samples * n_outputs, self.n_params)

    def squared_column_norms(self, cotangents: Array) -> Array:
        squares = [np.zeros((len(layer.inputs), layer.n_rows), dtype=self._model.dtype) for layer in self._layers]
        for r in range(cotangents.shape[2]):
            passes = self._cotangents_downwards(np.ascontiguousarray(cotangents[:, :, r]))
            for square, (layer, U) in zip(reversed(squares), passes, strict=True):
                if layer.n_rows:
                    square += np.square(U[:, layer.columns])
        diagonal = np.empty(self.n_params, dtype=self._model.dtype)
        for square, layer in zip(squares, self._layers, strict=True):
            D = diagonal[layer.span].reshape(layer.n_rows, layer.inputs.shape[1] + 1)
            np.matmul(square.T, np.square(layer.inputs), out=D[:, :-1])
            np.matmul(self._ones, square, out=D[:, -1])
        return diagonal

    def _cotangents_downwards(self, cotangents: Array) -> Iterator[tuple[_ActiveLayer, Array]]:
        """Each active layer from the top, with the cotangents of its pre-activations; valid until the next one."""
        U = cotangents
        for index in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[index]
            yield layer, U
            if index > 0:
                U = np.matmul(U, layer.weights, out=layer.work_below)
                U *= layer.slope_below
