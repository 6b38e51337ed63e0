"""What models of other libraries have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from p2pnet.optim.arrays import BoolArray
from p2pnet.optim.models.base import Model, Neuron


@final
@dataclass(frozen=True, slots=True)
class Signature:
    """Sizes, precision and names of a network."""

    library_name: str
    """of its class or module there"""
    shape: tuple[int, ...]
    """of one sample"""
    n_inputs: int
    n_outputs: int
    dtype: np.dtype[Any]
    is_bias: BoolArray = field(repr=False)
    """(n_params,)"""
    digest: str
    """of all that makes it another network"""

    @property
    def text(self) -> str:
        shape = "x".join(map(str, self.shape))
        precision = "" if self.dtype == np.float64 else f" {self.dtype}"
        return f"{self.library_name} {shape}-{self.n_outputs}{precision} {self.digest}"


class ForeignModel(Model):
    """A network of another library, whose neurons are not known; it computes in one precision."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature

    @property
    def n_inputs(self) -> int:
        return self._signature.n_inputs

    @property
    def n_outputs(self) -> int:
        return self._signature.n_outputs

    @property
    def n_params(self) -> int:
        return len(self._signature.is_bias)

    @property
    def dtype(self) -> np.dtype[np.floating]:
        return self._signature.dtype

    def describe(self) -> str:
        return self._signature.text

    def is_bias(self) -> BoolArray:
        return self._signature.is_bias.copy()

    def neurons(self) -> tuple[Neuron, ...]:
        return ()
