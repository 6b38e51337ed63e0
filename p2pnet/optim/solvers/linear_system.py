"""One Newton system H s = b by preconditioned conjugate gradients."""

from collections.abc import Callable
from typing import Final, final

import numpy as np

from p2pnet.optim.arrays import CHUNK, Array, add_product
from p2pnet.optim.surrogates.base import Tangents, combined

FIRST_FORCING: Final = 0.5
"""Accuracy of a solve's first Newton system, relative to its gradient; later ones are solved more accurately. A more
accurate start wastes steps on a quadratic model that the loss leaves soon: 0.1 takes twice as many on digits.
"""


@final
class LinearSystem:
    """H s = b from s = 0, for H symmetric and positive definite, given by its products alone.

    `product(p)` gives (J p, H p): summing up J p step by step gives J s without another product at the end.
    Residuals are divided by `preconditioner`, a positive number or (n_params,); the system counts as solved when
    ‖b − H s‖ ≤ target.
    """

    def __init__(
        self,
        product: Callable[[Array], tuple[Tangents, Array]],
        right_side: Array,
        preconditioner: float | Array,
        target: float,
    ) -> None:
        self._product = product
        self._preconditioner = preconditioner
        self._target = target
        self.solution = np.zeros_like(right_side)
        """s so far; each step lowers sᵀH s/2 − bᵀs"""
        self.tangents: Tangents = ()
        """J s; empty before the first step"""
        self.n_steps = 0
        self._residual = right_side
        self._conjugate = np.empty_like(right_side)
        self._precondition(self._conjugate)
        self._rz = float(right_side @ self._conjugate)

    def step(self) -> bool:
        """One conjugate-gradient step; whether the system is solved."""
        p = self._conjugate
        tangents, Hp = self._product(p)
        curvature = float(p @ Hp)
        # So near to a solution, or so flat, that pᵀH p is rounded to nothing: there is nothing more to gain.
        is_lost_in_rounding = curvature <= 0.0
        length = 0.0 if is_lost_in_rounding else self._rz / curvature
        add_product(self.solution, length, p)
        if self.n_steps:
            self.tangents = combined(self.tangents, length, tangents)
        else:
            self.tangents = tuple(length * T for T in tangents)
        self.n_steps += 1
        if is_lost_in_rounding:
            return True
        Hp *= length
        self._residual -= Hp
        z = Hp  # is not needed any more
        self._precondition(z)
        rz = float(self._residual @ z)
        p *= rz / self._rz
        p += z
        self._rz = rz
        return float(self._residual @ self._residual) <= self._target**2

    def _precondition(self, out: Array) -> None:
        """The residual times the inverse of the preconditioner."""
        if not isinstance(self._preconditioner, np.ndarray):
            np.multiply(self._residual, 1.0 / self._preconditioner, out=out)
            return
        for start in range(0, out.size, CHUNK):
            part = slice(start, start + CHUNK)
            np.multiply(self._residual[part], 1.0 / self._preconditioner[part], out=out[part])
