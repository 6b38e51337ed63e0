"""A model of one's own: `[model] factory = "package.module:name"`, a function or a class.

It is called with the settings' `arguments`, and, where it has parameters of these names and no such argument is set,
with `n_inputs`, `n_outputs` and `input_shape` of the samples. What it returns is a `Model`, an object as `UserModel`
takes it, or a network of a library in `catalogue.frameworks`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from p2pnet.catalogue.frameworks import framework_of
from p2pnet.errors import ModelError
from p2pnet.optim.models.base import Model
from p2pnet.optim.models.user_model import UserModel, called


@final
@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a model is wanted for."""

    n_inputs: int
    n_outputs: int
    input_shape: tuple[int, ...] = ()
    """of one sample, of n_inputs numbers; empty where it is a row of a table"""
    device: str = "auto"
    """what a library computes on, as it calls it; auto: a GPU where there is one"""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample as a network takes it."""
        return self.input_shape or (self.n_inputs,)


def load_model(factory: str, request: ModelRequest, arguments: Mapping[str, Any] | None = None) -> Model:
    """The model that the function or class at `factory` makes; ModelError says what is wrong."""
    module_name, _, name = factory.partition(":")
    where = f"model factory {factory!r}"
    if not module_name or not name:
        raise ModelError(f'{where}: write it as "package.module:function"')
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may raise anything
        raise ModelError(f"{where}: importing {module_name} failed: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ModelError(f"{where}: module {module_name} has no function {name}")
    given = _offered(function, request) | dict(arguments or {})

    def build() -> Any:
        return called(where, lambda: function(**given))

    made = build()
    if isinstance(made, Model):
        return made
    framework = framework_of(made)
    if framework is None:
        return UserModel(made, where=f"the model of {factory!r}")
    model: Model = framework.load()(build, request, f"the model of {factory!r}")
    return model


def _offered(function: Callable[..., Any], request: ModelRequest) -> dict[str, Any]:
    """What the function has a parameter for by name."""
    offered = {"n_inputs": request.n_inputs, "n_outputs": request.n_outputs, "input_shape": request.shape}
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # as some that are written in C
        return {}
    return {name: value for name, value in offered.items() if name in parameters}
