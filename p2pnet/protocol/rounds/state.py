"""The state of one agent's training: phase, round and parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import final

from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.masks import Masking
from p2pnet.protocol.rounds.schedule import EAGER_ROUNDS, N_LISTENING_ROUNDS


class Phase(Enum):
    """The phase of the round machine (diagram in `machine.py`)."""

    BOOTSTRAPPING = "bootstrapping"
    STEPPING = "stepping"
    PROPOSING = "proposing"
    PAUSING = "pausing"
    EXCHANGING = "exchanging"
    AUDITING = "auditing"
    EVALUATING = "evaluating"
    FINISHED = "finished"
    CLOSED = "closed"


@final
@dataclass(slots=True)
class RoundState:
    """Phase, round and parameters; written by the round machine alone, read by its parts."""

    params: Array = field(repr=False)
    round: int = 0
    phase: Phase = Phase.BOOTSTRAPPING
    announced_round: int = -1
    """The round announced in Hello; -1 before training has begun."""
    has_trained: bool = False
    """Whether the parameters are those of a round: one that this process has begun, or that it goes on from."""
    n_listening_rounds: int = 0
    """The number of rounds to mix in before the first local step."""
    is_converged: bool = False
    """Whether training has ended because all agents were stationary."""
    epoch: int = 0
    """The number of the epoch: samples have changed so often since training first finished."""
    first_round: int = 0
    """The first round of the epoch, from which its rounds are counted."""
    account: int = 0
    """The number of the account that the ledgers of all links belong to."""
    masking: Masking | None = None
    """What the links of that account are masked for; None for no masks."""

    def enter(self, round_: int, params: Array) -> None:
        """Enter training in a later round, with these parameters, and listen at first."""
        self.round, self.has_trained = round_, True
        self.params = params.astype(self.params.dtype, copy=False)
        self.n_listening_rounds = min(round_, N_LISTENING_ROUNDS)

    @property
    def schedule_round(self) -> int:
        """The round by which local steps are scheduled: of an epoch, from when its change has spread, and without the
        eager ones, since agents begin it near a solution.
        """
        return self.round - self.first_round + (EAGER_ROUNDS - N_LISTENING_ROUNDS if self.epoch else 0)

    @property
    def trained_round(self) -> int:
        """The round of the parameters; -1 while they are those that training begins with."""
        return self.round if self.has_trained else -1
