"""JAX: a pair of functions, or a Flax module, as a model.

`init(key, x)` gives parameters, any tree of arrays, for samples x; `apply(params, x)` gives outputs (n_samples,
n_outputs) for samples x (n_samples, *input_shape). Products with the Jacobian are forward and reverse mode, compiled
once for each number of samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, final

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from p2pnet.errors import ModelError
from p2pnet.interop.foreign_model import ForeignModel, Signature
from p2pnet.optim.arrays import Array
from p2pnet.optim.models.base import Linearization, Model
from p2pnet.optim.models.factory import ModelRequest
from p2pnet.training.model_file import ModelFile

_MAX_SEED: Final = 2**31


def adapted(build: Callable[[], Any], request: ModelRequest, where: str) -> Model:
    """The pair or module that a factory makes as a model; ModelError says what in it cannot be trained here."""
    network = build()
    init, apply = network if isinstance(network, tuple) else (network.init, network.apply)
    name = getattr(apply, "__module__", "") if isinstance(network, tuple) else type(network).__name__
    return JaxModel(init, apply, name, request, where)


def load_into(params: Any, path: str | Path) -> Any:
    """The tree of parameters with the values of a model file; ModelError where they are another network's."""
    file = ModelFile.load(Path(path))
    if _digest(params) not in file.description.network.text.split():
        raise ModelError(f"{path}: holds {file.description.network.text}, which is another network's parameters")
    flat, unravel = ravel_pytree(params)
    return unravel(jax.numpy.asarray(file.params, dtype=flat.dtype))


@final
class JaxModel(ForeignModel):
    """The outputs of a network as a function of one flat vector: the leaves of its parameters in their order."""

    def __init__(
        self, init: Callable[..., Any], apply: Callable[..., Any], name: str, request: ModelRequest, where: str
    ) -> None:
        self._init, self._request, self._where = init, request, where
        self._device = _device(request.device, where)
        params = self._first(0)
        _refuse_state(params, where)
        flat, unravel = ravel_pytree(params)
        if flat.dtype not in (np.float32, np.float64):
            raise ModelError(f"{where}: its parameters are {flat.dtype}; make them float32, or float64")
        self._dtype: np.dtype[Any] = np.dtype(flat.dtype)
        leaves = jax.tree_util.tree_leaves_with_path(params)
        is_bias = np.concatenate([np.full(leaf.size, _is_bias(path, leaf)) for path, leaf in leaves])

        def outputs(w: Any, X: Any) -> Any:
            return apply(unravel(w), X.reshape(len(X), *request.shape))

        n_outputs = self._checked(outputs, flat)
        self._predict = jax.jit(outputs)
        self._jvp = jax.jit(lambda w, X, step: jax.jvp(lambda v: outputs(v, X), (w,), (step,))[1])
        self._vjp = jax.jit(lambda w, X, cotangents: jax.vjp(lambda v: outputs(v, X), w)[1](cotangents)[0])
        super().__init__(
            Signature(name, request.shape, request.n_inputs, n_outputs, self._dtype, is_bias, _digest(params))
        )

    @property
    def n_numbers_per_sample(self) -> int:
        return 8 * self.n_outputs + self.n_inputs

    def init(self, rng: np.random.Generator) -> Array:
        return _array(ravel_pytree(self._first(int(rng.integers(_MAX_SEED))))[0])

    def predict(self, params: Array, X: Array) -> Array:
        return _array(self._predict(self.on_device(params), self.on_device(X)))

    def linearize(self, params: Array, X: Array) -> JaxLinearization:
        return JaxLinearization(self, self.on_device(params), self.on_device(X))

    def on_device(self, values: Array) -> Any:
        """The array in the model's precision, on its device."""
        return jax.device_put(values.astype(self._dtype), self._device)

    def _first(self, seed: int) -> Any:
        x = np.zeros((1, *self._request.shape), dtype=np.float32)
        try:
            return self._init(jax.random.key(seed), x)
        except Exception as error:  # a user's function may raise anything
            raise ModelError(
                f"{self._where}: init(key, x) for x of shape {x.shape} raised {type(error).__name__}: {error}"
            ) from error

    def _checked(self, outputs: Callable[[Any, Any], Any], flat: Any) -> int:
        """How many outputs there are; ModelError where a pass over a few samples fails, or is no function of each."""
        X = self.on_device(np.stack([np.arange(k, k + self._request.n_inputs) % 2 for k in range(3)]))
        try:
            found = outputs(flat, X)
        except Exception as error:  # a user's function may raise anything
            raise ModelError(
                f"{self._where}: apply(params, x) raised {type(error).__name__}: {error}; what is random, such as "
                "dropout, must be left out"
            ) from error
        if getattr(found, "ndim", 0) != 2 or len(found) != 3 or found.dtype != self._dtype:
            kind, shape = getattr(found, "dtype", type(found).__name__), getattr(found, "shape", ())
            raise ModelError(
                f"{self._where}: makes {kind} of shape {shape} of 3 samples; it must make {self._dtype} of shape "
                "(3, number of outputs)"
            )
        alone = np.concatenate([outputs(flat, X[k : k + 1]) for k in range(3)])
        if not np.allclose(found, alone, rtol=1e-3, atol=1e-3 * float(np.abs(alone).max())):
            raise ModelError(
                f"{self._where}: the outputs of a sample depend on the other samples; each must be a function of its "
                "own"
            )
        return int(found.shape[1])


@final
class JaxLinearization(Linearization):
    """Products with the Jacobian of a network's outputs."""

    def __init__(self, model: JaxModel, flat: Any, X: Any) -> None:
        self._model, self._flat, self._X = model, flat, X
        self.predictions = _array(model._predict(flat, X))
        self.n_params = model.n_params

    def jvp(self, step: Array) -> Array:
        return _array(self._model._jvp(self._flat, self._X, self._model.on_device(step)))

    def vjp(self, cotangents: Array) -> Array:
        return _array(self._model._vjp(self._flat, self._X, self._model.on_device(cotangents)))


def _refuse_state(params: Any, where: str) -> None:
    """ModelError for what Flax keeps beside parameters, such as the running means of BatchNorm."""
    others = sorted(set(params) - {"params"}) if isinstance(params, dict) and "params" in params else []
    if others:
        parts = ", ".join(others)
        raise ModelError(
            f"{where}: keeps {parts} beside its parameters, as BatchNorm does, whose outputs depend on the other "
            "samples; take GroupNorm or LayerNorm"
        )


def _device(name: str, where: str) -> Any:
    try:
        if name == "auto":
            return jax.devices()[0]
        kind, _, number = name.partition(":")
        return jax.devices(kind)[int(number or 0)]
    except (RuntimeError, ValueError, IndexError) as error:
        raise ModelError(f"{where}: model.device = {name}: {error}") from error


def _is_bias(path: tuple[Any, ...], leaf: Any) -> bool:
    """Whether penalties leave it out: biases, and the scales of normalisations."""
    return leaf.ndim <= 1 or "bias" in jax.tree_util.keystr(path[-1:])


def _digest(params: Any) -> str:
    """Of the shapes of a tree's leaves, by their places."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    text = "\n".join(f"{jax.tree_util.keystr(path)} {leaf.shape}" for path, leaf in leaves)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _array(values: Any) -> Array:
    return np.array(values)
