"""The measurement: what the trained model is worth on the rows that all agents have held out.

After the last round of training (`conclusion.py`) the agents average twice at once, by the rounds over conserving links
by which they have trained (`machine.py`), with nothing to be minimised:

    parameters    until all agents have the same, to rounding
    sums          counts of right predictions, errors and the like of each agent's held-out rows at these parameters

Sums are tracked as gradients are: the change of an agent's own enters when its parameters have moved. So once all have
the same parameters, what is tracked settles at the mean of all agents' sums at exactly these parameters, whatever was
lost, repeated or late; an agent that dies takes its rows with it, and no others.

The choice of the best parameters of late is the same without parameters: its sums are those of all candidates.
"""

from __future__ import annotations

from typing import Final, TypeAlias, final

import numpy as np

from p2pnet.protocol.core.effects import Conclude, Evaluate, Finish, Measure, Notify, RunLocalStep
from p2pnet.protocol.core.events import Evaluated, LeaveRequested, LocalStepDone, Measured
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.notices import (
    InMeasurement,
    InStatistics,
    MetricsUnsettled,
    NoNeighborAnswered,
    NoNeighborLeft,
)
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.ledger import norm
from p2pnet.protocol.rounds.accounts import EXACTLY
from p2pnet.protocol.rounds.averaging import without_local_steps
from p2pnet.protocol.rounds.happenings import RoundEffect, RoundEvent
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.moments import Plateau
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.state import Phase

MAX_ROUNDS: Final = 20_000
"""In which the metrics have to settle."""

TOLERANCE: Final = 1e-11
"""Relative to each sum, and of the distance between parameters to their size; metrics are exact to 1e-10."""

LEAST_SUM: Final = 1e-2
"""The mean of a hundred agents that have one row in all. One below it counts as that much: where all rows of a bin of
scores have gone to others while parameters came together, rounding leaves something, which changes for ever.
"""

LEAST_MOVE: Final = 1e-13
"""Parameters that have moved by less, relative to their size, have the same sums."""

MeasurementEvent: TypeAlias = RoundEvent | Measured
MeasurementEffect: TypeAlias = RoundEffect | Measure | Conclude


@final
class MeasurementMachine(Machine[MeasurementEvent, MeasurementEffect]):
    """Averages parameters and sums of held-out rows after training, and concludes with both.

    A round is begun no sooner than in the statistics stage, and agents that have vanished are awaited as long.
    """

    def __init__(self, stage: str, identity: Identity, options: RoundOptions, params: Array, n_sums: int) -> None:
        self._stage = stage
        options = without_local_steps(options, MAX_ROUNDS, TOLERANCE)
        self._rounds = RoundMachine(identity, options, params, n_sums)
        self._plateau: Plateau[Array] = Plateau(_change, EXACTLY)
        self._measured_at: Array | None = None
        """The parameters that the sums are of."""
        self._sums = np.zeros(n_sums)
        self._average: Array | None = None
        """Of all agents' sums, in the last round that was stationary."""

    @property
    def neighborhood(self) -> Neighborhood:
        return self._rounds.neighborhood

    @property
    def is_closed(self) -> bool:
        return self._rounds.phase is Phase.CLOSED

    def start(self, now: float) -> list[MeasurementEffect]:
        return self._carry_out(self._rounds.start(now), now)

    def handle(self, event: MeasurementEvent, now: float) -> list[MeasurementEffect]:
        if isinstance(event, Measured):
            self._sums = event.sums
            event = Evaluated(event.round, event.sums, 1.0)
        return self._carry_out(self._rounds.handle(event, now), now)

    def next_deadline(self) -> float | None:
        return self._rounds.next_deadline()

    def _carry_out(self, effects: list[RoundEffect], now: float) -> list[MeasurementEffect]:
        """Perform what needs no samples here, and pass on all other effects."""
        outward: list[MeasurementEffect] = []
        while effects:
            effect, *effects = effects
            match effect:
                case Evaluate(round_, params) if self._has_moved(params):
                    self._measured_at = params
                    outward.append(Measure(self._stage, round_, params))
                case Evaluate(round_):
                    effects += self._rounds.handle(Evaluated(round_, self._sums, 1.0), now)
                case RunLocalStep():
                    effects += self._rounds.handle(self._judged(effect), now)
                case Finish(round_, params):
                    if round_ >= MAX_ROUNDS or self._average is None:
                        outward.append(Notify(MetricsUnsettled(round_)))
                    else:
                        outward.append(Conclude(round_, params, self._average))
                case Notify(NoNeighborAnswered()):
                    # The others have died, or have gone: there are no rows but this agent's own.
                    outward.append(Conclude(self._rounds.round, self._rounds.params, self._sums))
                    effects += self._rounds.handle(LeaveRequested(), now)
                case Notify(NoNeighborLeft()):
                    pass  # nothing is learned here, from any samples
                case Notify(notice) if not isinstance(notice, InStatistics | InMeasurement):
                    outward.append(Notify(InMeasurement(notice)))
                case _:
                    outward.append(effect)
        return outward

    def _has_moved(self, params: Array) -> bool:
        before = self._measured_at
        return before is None or norm(params - before) > LEAST_MOVE * (1.0 + norm(params))

    def _judged(self, effect: RunLocalStep) -> LocalStepDone:
        """Judge the round's average: is it stationary? No parameters are stepped."""
        self._plateau.observe(effect.direction, effect.round)
        is_stationary = effect.round > 0 and self._plateau.has_lasted(effect.round)
        if is_stationary or self._average is not None:
            self._average = effect.direction
        # The first residual, 1, is the scale of all later ones at every agent.
        return LocalStepDone(effect.round, effect.params, 0.0 if is_stationary else 1.0, proximal_weight=0.0)


def _change(before: Array, after: Array) -> Array:
    """By sum, the change in units of TOLERANCE of it, or of LEAST_SUM."""
    size = np.maximum(np.abs(after), np.abs(before))
    change: Array = np.abs(after - before) / (TOLERANCE * np.maximum(size, LEAST_SUM))
    return change
