"""The schedule of local steps and of the flows' momentum over the rounds.

    rounds          exchanges a step    momentum
    0 to 9                 1              0.2
    10 to 59               2              0.2
    from 60 on             4              0.35

Agents start with equal parameters: at first local steps gain more than exchanges. Near a solution, disagreement about
the direction undoes more of each step; more exchanges between two steps then allow longer steps (`docs/algorithm.md`).
"""

from typing import Final

EAGER_ROUNDS: Final = 10
"""The first rounds, each with a local step."""
N_LISTENING_ROUNDS: Final = 8
"""The rounds in which an agent that enters running training only mixes: at first it tracks its own gradient alone, and
a step along that would lead all away from where they are."""
EARLY_ROUNDS: Final = 60
EARLY_EXCHANGES: Final = 2
LATE_EXCHANGES: Final = 4
EARLY_MOMENTUM: Final = 0.2
LATE_MOMENTUM: Final = 0.35


def is_step_round(round_: int, exchanges: int | None) -> bool:
    """Whether the round has a local step: in the first rounds each, then every `exchanges`-th; None for the table
    above.
    """
    if exchanges is None:
        exchanges = EARLY_EXCHANGES if round_ < EARLY_ROUNDS else LATE_EXCHANGES
    return round_ < EAGER_ROUNDS or round_ % exchanges == 0


def momentum_in(round_: int, momentum: float | None) -> float:
    """β, the fraction of the last flow that the next flow keeps: `momentum`, or the table above where that is None."""
    if momentum is not None:
        return momentum
    return EARLY_MOMENTUM if round_ < EARLY_ROUNDS else LATE_MOMENTUM
