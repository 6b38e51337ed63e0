"""A user's own object as a `Model`, where a factory returns one.

It has

    name, version                    strings; agents compare them before they train together
    n_inputs, n_outputs, n_params    whole numbers
    init(rng)                        initial parameters, (n_params,), from a numpy.random.Generator
    predict(params, X)               predictions, (n_samples, n_outputs), for X (n_samples, n_inputs)
    linearize(params, X)             an object with
        predictions                      as predict returns them
        jvp(step)                        J step, (n_samples, n_outputs), for step (n_params,)
        vjp(cotangents)                  Jᵀ cotangents, (n_params,), for cotangents (n_samples, n_outputs)

and, if it likes, `bias_mask`, (n_params,) of bool, true for parameters that penalties leave out. Arrays come
as float64; what goes back may be computed in float32, which is seen by its numbers, and allowed for.
With several workers, jvp and vjp of one object are called by several threads at once.
"""

from collections.abc import Callable
from typing import Any, Final, final

import numpy as np

from p2pnet.errors import ModelError
from p2pnet.optim.arrays import Array, BoolArray
from p2pnet.optim.models.base import Linearization, Model, Neuron

_INTERFACE: Final[dict[str, str]] = {
    "name": "a string",
    "version": "a string",
    "n_inputs": "a whole number",
    "n_outputs": "a whole number",
    "n_params": "a whole number",
    "init": "a method init(rng)",
    "predict": "a method predict(params, X)",
    "linearize": "a method linearize(params, X)",
}
_LINEARIZATION: Final[dict[str, str]] = {
    "predictions": "an array",
    "jvp": "a method jvp(step)",
    "vjp": "a method vjp(cotangents)",
}


@final
class UserModel(Model):
    """Adapts a user's object; shapes and numbers that it returns are checked as they enter."""

    def __init__(self, given: Any, where: str = "the user's model") -> None:
        _require(given, _INTERFACE, where)
        self._given = given
        self._where = where
        self._sizes = {}
        for size in ("n_inputs", "n_outputs", "n_params"):
            value = getattr(given, size)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ModelError(f"{where}: {size} is {value!r}; it must be a whole number, 1 or more")
            self._sizes[size] = int(value)
        mask = getattr(given, "bias_mask", None)
        self._is_bias = np.zeros(self.n_params, np.bool_) if mask is None else np.asarray(mask, dtype=np.bool_)
        if self._is_bias.shape != (self.n_params,):
            raise ModelError(f"{where}: bias_mask has shape {self._is_bias.shape}; expected ({self.n_params},)")
        self._epsilon = super().epsilon

    @property
    def n_inputs(self) -> int:
        return self._sizes["n_inputs"]

    @property
    def n_outputs(self) -> int:
        return self._sizes["n_outputs"]

    @property
    def n_params(self) -> int:
        return self._sizes["n_params"]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float64)

    @property
    def epsilon(self) -> float:
        return self._epsilon

    def describe(self) -> str:
        return f"{self._given.name} {self._given.version}"

    def init(self, rng: np.random.Generator) -> Array:
        params = called(f"{self._where}: init", self._given.init, rng)
        return _checked(f"{self._where}: init", params, (self.n_params,)).copy()

    def predict(self, params: Array, X: Array) -> Array:
        predictions = called(f"{self._where}: predict", self._given.predict, params, X)
        return _checked(f"{self._where}: predict", predictions, (len(X), self.n_outputs))

    def linearize(self, params: Array, X: Array) -> Linearization:
        given = called(f"{self._where}: linearize", self._given.linearize, params, X)
        _require(given, _LINEARIZATION, f"{self._where}: what linearize returns")
        linearization = _UserLinearization(given, self, len(X), self._where)
        self._epsilon = _epsilon_of(linearization.predictions)
        return linearization

    def is_bias(self) -> BoolArray:
        return self._is_bias.copy()

    def neurons(self) -> tuple[Neuron, ...]:
        return ()


@final
class _UserLinearization(Linearization):
    def __init__(self, given: Any, model: UserModel, n_samples: int, where: str) -> None:
        self._given = given
        self._where = where
        self._shape = (n_samples, model.n_outputs)
        self.n_params = model.n_params
        self.predictions = _checked(f"{where}: predictions of linearize", given.predictions, self._shape)

    def jvp(self, step: Array) -> Array:
        where = f"{self._where}: jvp"
        return _checked(where, called(where, self._given.jvp, step), self._shape)

    def vjp(self, cotangents: Array) -> Array:
        where = f"{self._where}: vjp"
        # A copy: sums are built in place on what vjp returns, which may be the user's own array.
        return _checked(where, called(where, self._given.vjp, cotangents), (self.n_params,)).copy()


def _epsilon_of(predictions: Array) -> float:
    """The relative rounding of the precision that the predictions, now float64, have been computed in."""
    with np.errstate(over="ignore"):
        is_single = np.array_equal(predictions.astype(np.float32), predictions)
    return float(np.finfo(np.float32 if is_single else np.float64).eps)


def _require(given: Any, interface: dict[str, str], where: str) -> None:
    missing = [f"{name} ({kind})" for name, kind in interface.items() if getattr(given, name, None) is None]
    if missing:
        raise ModelError(f"{where} has no {', no '.join(missing)}")


def called(where: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What the user's function returns; ModelError where it fails, with what it was called for."""
    try:
        return function(*arguments)
    except Exception as error:  # the user's code may raise anything
        raise ModelError(f"{where} raised {type(error).__name__}: {error}") from error


def _checked(where: str, value: Any, shape: tuple[int, ...]) -> Array:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{where} must return numbers, not {type(value).__name__}") from error
    if array.shape != shape:
        raise ModelError(f"{where} returned shape {array.shape}; expected {shape}")
    return array
