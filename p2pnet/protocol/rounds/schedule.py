"""Which rounds have a local step, and how much momentum flows over links have, as training goes on.

    rounds          exchanges a step    momentum
    0 to 9                 1              0.2
    10 to 59               2              0.2
    from 60 on             4              0.35

Agents that began alike have little to agree on at first, and far to go: steps pay more than exchanges. The nearer to a
solution, the more of what a step does is undone by disagreement about the direction; then more exchanges between two
steps let each of them be longer (`docs/design.md`, section 4).
"""

from typing import Final

EAGER_ROUNDS: Final = 10
"""The first rounds, each with a local step."""
EARLY_ROUNDS: Final = 60
EARLY_EXCHANGES: Final = 2
LATE_EXCHANGES: Final = 4
EARLY_MOMENTUM: Final = 0.2
LATE_MOMENTUM: Final = 0.35


def is_step_round(round_: int, exchanges: int | None) -> bool:
    """Whether the round has a local step: every `exchanges`-th after the first ones; None for the table above."""
    if exchanges is None:
        exchanges = EARLY_EXCHANGES if round_ < EARLY_ROUNDS else LATE_EXCHANGES
    return round_ < EAGER_ROUNDS or round_ % exchanges == 0


def momentum_in(round_: int, momentum: float | None) -> float:
    """The part of a flow that the next one keeps: `momentum`, or what the table above has where it is None."""
    if momentum is not None:
        return momentum
    return EARLY_MOMENTUM if round_ < EARLY_ROUNDS else LATE_MOMENTUM
