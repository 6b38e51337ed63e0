"""What an objective may still decrease by, from how it has decreased of late."""

from __future__ import annotations

import math
from collections import deque
from typing import Final, final

WINDOW: Final = 8
"""Steps whose decrease is compared with that of as many before; a third of all steps, where there were fewer."""
AT_REST: Final = 10.0
"""Times what the objective has changed by in a window: at rest it changes by next to nothing, up or down."""


@final
class RemainingDecrease:
    """Sums the decrease of an objective over windows of steps. Where it was B in the last window but one, A in the
    last, and falls on by the same factor from window to window, what is left is the sum of a geometric series,

        A² / (B − A),

    which is Aitken's Δ² process, and 10 |A| at most. That also stands for it where A ≥ B, which bounds nothing, so it
    is small at rest only: a valley that is run through slowly is not at its end, however small the gradient is there.
    """

    def __init__(self) -> None:
        self._decreases: deque[float] = deque(maxlen=2 * WINDOW)
        self._n_steps = 0

    def begin_anew(self) -> None:
        """Forget the decrease of another objective."""
        self._decreases.clear()
        self._n_steps = 0

    def take_in(self, decrease: float) -> None:
        """Add what one step has decreased the objective by; one that is not finite begins anew."""
        if math.isfinite(decrease):
            self._decreases.append(decrease)
            self._n_steps += 1
        else:
            self.begin_anew()

    def estimate(self) -> float:
        """What is left; 0 before the third step."""
        window = min(WINDOW, self._n_steps // 3)
        decreases = list(self._decreases)
        late = math.fsum(decreases[len(decreases) - window :])
        before = math.fsum(decreases[len(decreases) - 2 * window : len(decreases) - window])
        most = AT_REST * abs(late)
        return min(most, late * late / (before - late)) if 0.0 < late < before else most
