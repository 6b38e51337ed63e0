"""How far agents are apart, in steps, and whether that grows."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Final, final

PERIOD: Final = 6
"""Steps in which differences that are not damped come and go."""
RUN: Final = 3
"""Steps of growth, one after the other, from which a difference is known to grow by a factor with each."""
RUN_GROWTH: Final = 2.0


@final
class DisagreementTrend:
    """The ratio ρ = max_j ‖z_j − z‖ / ‖s‖ of the disagreement to the agent's last displacement s, over the steps.

    Agents differ by what their steps differ by, so ρ falls or stays while all differences are damped. Too small a
    proximal weight leaves one that is not, between the gradient that is tracked and the parameters: it comes and goes
    in some steps, or grows with each, and displacements that are common to all hide it (`secant.py`).
    """

    def __init__(self) -> None:
        self._apart: deque[tuple[float, float]] = deque(maxlen=2 * PERIOD)
        """of each step the disagreement and ρ"""

    def begin_anew(self) -> None:
        """Forget the steps so far."""
        self._apart.clear()

    def take_in(self, disagreement: float, displacement: float) -> None:
        """Add the disagreement after a step, and the length of its displacement, which must not be 0."""
        self._apart.append((disagreement, disagreement / displacement))

    def forget_all_but_late(self) -> None:
        """Compare with the last period from now on: the proximal weight has been raised."""
        self._apart = deque(list(self._apart)[-PERIOD:], maxlen=2 * PERIOD)

    def growth(self) -> float:
        """The largest ratio of the last period over that of the period before; 0 before there were two."""
        if len(self._apart) < 2 * PERIOD:
            return 0.0
        ratios = [ratio for _, ratio in self._apart]
        return max(ratios[PERIOD:]) / max(ratios[:PERIOD])

    def runs_away(self) -> bool:
        """Whether the disagreement has grown in each of the last steps, and the ratio to twice what it was."""
        last = list(self._apart)[-RUN - 1 :]
        is_growing = all(later[0] > earlier[0] for earlier, later in itertools.pairwise(last))
        return len(last) > RUN and is_growing and last[-1][1] > RUN_GROWTH * last[0][1]
