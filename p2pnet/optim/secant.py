"""The curvature that a local model leaves out, from the gradients at two points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.optim.arrays import Array


@final
@dataclass(frozen=True, slots=True, eq=False)
class Secant:
    """A displacement s = w⁺ − w, and q = ŷ⁺ − ŷ − scale·(∇g̃(w⁺) − ∇g̃(w)), the change of the direction ŷ along s that
    the model g̃ did not predict, both (n_params,). Near a solution q = D s, with D what the model leaves out of ∇²F.
    """

    displacement: Array
    unmodelled: Array

    def length(self) -> float:
        """‖s‖."""
        return float(np.linalg.norm(self.displacement))

    def curvature(self) -> float:
        """δ = |sᵀq| / sᵀs, the curvature of D along s, which must not be 0."""
        return abs(float(self.displacement @ self.unmodelled)) / float(self.displacement @ self.displacement)

    def across(self, earlier: Secant) -> Secant:
        """The secant of the part of s orthogonal to an earlier displacement s⁻: s − β s⁻ and q − β q⁻, with
        β = sᵀs⁻ / s⁻ᵀs⁻. It is 0 where s and s⁻ are parallel.

        A part of s that alternates from step to step is hidden by a long common part, in δ by the square of their
        ratio; across s⁻ it is not.
        """
        part = float(self.displacement @ earlier.displacement) / float(earlier.displacement @ earlier.displacement)
        return Secant(self.displacement - part * earlier.displacement, self.unmodelled - part * earlier.unmodelled)

    def is_longer_than_rounding(self, params: Array, epsilon: float) -> bool:
        """Whether ‖s‖ is so long, for parameters of this size, that q along it is more than the rounding of gradients,
        whose relative size is `epsilon`.
        """
        least = max(1e-10, 100.0 * epsilon)
        return float(self.displacement @ self.displacement) > least * least * (1.0 + float(params @ params))
