"""What the gradients at two places tell of the curvature that a local model has left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.optim.arrays import Array


@final
@dataclass(frozen=True, slots=True, eq=False)
class Secant:
    """A way s = w⁺ − w, and q = ŷ⁺ − ŷ − scale·(∇g̃(w⁺) − ∇g̃(w)), the change of the direction ŷ along it that the
    model g̃ did not foresee, both (n_params,). Near a solution q = D s, with D what is left out of ∇²F.
    """

    way: Array
    unforeseen: Array

    def length(self) -> float:
        """‖s‖."""
        return float(np.linalg.norm(self.way))

    def curvature(self) -> float:
        """δ = |sᵀq| / sᵀs, of D along s. The way must not be 0."""
        return abs(float(self.way @ self.unforeseen)) / float(self.way @ self.way)

    def across(self, earlier: Secant) -> Secant:
        """The same for the part of the way that is orthogonal to an earlier one: s − β s⁻ and q − β q⁻, with
        β = sᵀs⁻ / s⁻ᵀs⁻. It is 0 where both ways are parallel.

        What swings from step to step is hidden in s by a long common way, in δ by the square of their ratio; in here
        it is not.
        """
        part = float(self.way @ earlier.way) / float(earlier.way @ earlier.way)
        return Secant(self.way - part * earlier.way, self.unforeseen - part * earlier.unforeseen)

    def is_longer_than_rounding(self, params: Array) -> bool:
        """Whether a way between parameters of this size says anything."""
        return float(self.way @ self.way) > 1e-20 * (1.0 + float(params @ params))
