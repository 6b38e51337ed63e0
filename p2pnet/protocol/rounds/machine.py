"""The round machine: the sans-I/O state machine of one agent's training rounds.

    bootstrapping  waits for its neighbors (and, where training runs already, for the state of one of them)
    stepping     the local step is being computed elsewhere
    proposing    the step is done; its gradient is being computed elsewhere, if that is to be shared with it
    pausing      the step is done before the round's least time is over
    exchanging   has sent its shares and waits for the others'
    auditing     parameters from far off are being evaluated elsewhere, before they are mixed
    evaluating   has mixed; the gradient at the mixed parameters is being computed elsewhere
    finished     training has ended; goes on serving until its neighbors have ended too
    closed       nothing is left to be done

    bootstrapping → stepping ⇄ pausing → exchanging ⇄ auditing → evaluating → stepping → … → finished → closed

Where agents keep running, those in `finished` are idle: another epoch begins there when samples change (`epochs.py`).

One round is one exchange (`exchange.py`). A local step comes in each of the first rounds, and in every few rounds later
(`schedule.py`); in the others its place is taken by the parameters as they are. An agent whose neighbors are more than
one round ahead has been left behind, and goes on with their round instead of replaying those it missed.
"""

from __future__ import annotations

from typing import assert_never, final

import numpy as np

from p2pnet.protocol.core.effects import Close, CutLocalStepShort, Evaluate, Finish, Notify
from p2pnet.protocol.core.events import (
    Audited,
    AwayRequested,
    DeadlineReached,
    Evaluated,
    LeaveRequested,
    LocalStepDone,
    MessageReceived,
    PeerConnected,
    PeerDisconnected,
    PeerParted,
    SamplesChanged,
)
from p2pnet.protocol.core.machine import Machine
from p2pnet.protocol.core.notices import EpochBegun
from p2pnet.protocol.core.timers import AdaptiveTimeout, earliest
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.conservation import AgentLedger
from p2pnet.protocol.links.masks import Masking, Masks
from p2pnet.protocol.messages.training import Away, Left, StateReply
from p2pnet.protocol.rounds.exchange import with_zeros_of
from p2pnet.protocol.rounds.happenings import RoundEffect, RoundEvent
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.parts import assemble
from p2pnet.protocol.rounds.schedule import is_step_round
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.protocol.rounds.state import Phase
from p2pnet.protocol.rounds.timing import PATIENCE_WITH_A_STEP, PATIENT_ROUNDS, VIGIL_S


@final
class RoundMachine(Machine[RoundEvent, RoundEffect]):
    """One agent's training rounds: local step, exchange and mixing, termination; maps events to effects."""

    def __init__(
        self,
        identity: Identity,
        options: RoundOptions,
        params: Array,
        n_sums: int | None = None,
        resumed: RoundSnapshot | None = None,
        masks: Masks | None = None,
    ) -> None:
        """`n_sums`: how many sums are tracked, where not as many as parameters; `resumed`: what to go on from."""
        self._options = options
        self._timing = timing = options.timing.for_shares_of(options.precision // 8 * 2 * params.size)
        self._parts = parts = assemble(identity, options, params, n_sums, resumed, masks)
        self._at = parts.state
        self._neighborhood = parts.neighborhood
        self._tracker = parts.exchange.tracker
        self._stationarity = parts.stationarity
        self._termination = parts.termination
        self._barrier = parts.barrier
        self._exchange = parts.exchange
        self._handlers = parts.handlers
        self._timeout = AdaptiveTimeout(
            timing.round_timeout_floor_s, timing.round_timeout_s, timing.round_timeout_s, PATIENT_ROUNDS
        )
        self._deadline: float | None = None
        """The deadline of the phase: a step is cut short, mixing goes on without missing shares, other phases end."""
        self._is_cut_short = False
        self.n_rounds_lost = 0
        """Rounds mixed without a share of every neighbor."""
        self._disagreement = 0.0
        self._is_complete = True
        self._step = self._no_step()
        self._shared_at = -np.inf
        self._has_ended_before = resumed is not None and self._at.round >= self.last_round
        """Whether training had ended in an earlier process: this one serves neighbors whose training has not."""

    # State that other parts read.

    @property
    def phase(self) -> Phase:
        return self._at.phase

    @property
    def round(self) -> int:
        return self._at.round

    @property
    def params(self) -> Array:
        return self._at.params

    @property
    def announced_round(self) -> int:
        """The round announced to neighbors; -1 before training has begun."""
        return self._at.announced_round

    @property
    def epoch(self) -> int:
        return self._at.epoch

    @property
    def first_residual(self) -> float:
        return self._stationarity.first_residual

    @property
    def neighborhood(self) -> Neighborhood:
        return self._neighborhood

    @property
    def last_round(self) -> int:
        """The round that training, or its epoch, ends with, as far as this agent knows."""
        stop_round = self._termination.stop_round
        return min(self._last_possible, stop_round) if stop_round >= 0 else self._last_possible

    @property
    def _last_possible(self) -> int:
        return self._at.first_round + self._options.max_rounds

    def snapshot(self) -> RoundSnapshot | None:
        """Where training stands, for a later process to go on from; None while no round has begun."""
        return self._parts.snapshot()

    def ledger(self) -> AgentLedger:
        """The agent's ledger: own vector, mass present, and the totals of its links."""
        return self._parts.ledger()

    def begin_account(self, account: int, masking: Masking | None = None) -> None:
        """Track another vector from now on, in an account of its own; its value, `Evaluated`, is to follow."""
        self._parts.begin_account(account, masking)

    # Events.

    def start(self, now: float) -> list[RoundEffect]:
        self._parts.bootstrap.begin(now)
        return [self._evaluate()]

    def handle(self, event: RoundEvent, now: float) -> list[RoundEffect]:
        if self._at.phase is Phase.CLOSED:
            return []
        self._parts.liveness.stay_awake(now)
        effects: list[RoundEffect] = []
        match event:
            case MessageReceived(peer, message):
                effects = [*self._handlers.received(peer, message, now)]
            case Evaluated():
                effects = self._evaluated(event, now)
            case Audited():
                effects = [*self._handlers.audited(event, now)]
            case LocalStepDone():
                effects = self._local_step_done(event, now)
            case PeerConnected(peer):
                effects = [*self._handlers.connected(peer, now)]
            case PeerDisconnected(peer):
                self._neighborhood.disconnected(peer, now)
            case DeadlineReached():
                effects = [*self._handlers.repeat(now)]
                effects += self._parts.liveness.tell_alive(self._termination.stop_round, now)
                effects += self._parts.liveness.close_the_dead(now)
            case LeaveRequested():
                effects = self._take_leave(Left, now)
            case AwayRequested():
                effects = self._take_leave(Away, now)
            case PeerParted(peer):
                effects = [*self._neighborhood.let_go(peer, now)]
            case SamplesChanged(why):
                self._parts.change_samples(why)
            case _:
                assert_never(event)
        effects += self._go_on(now)
        effects += self._parts.epochs.tell(now)
        self._neighborhood.told(effects, now)
        return effects

    def next_deadline(self) -> float | None:
        """The time at which `DeadlineReached` is due if no event comes before; None for never."""
        if self._at.phase is Phase.CLOSED:
            return None
        parts = self._parts
        times = [self._deadline, *(part.next_deadline() for part in (parts.liveness, parts.handlers, parts.epochs))]
        if self._at.phase is Phase.BOOTSTRAPPING and not self._tracker.is_empty:
            times.append(parts.bootstrap.deadline)
        return earliest(times)

    def _go_on(self, now: float) -> list[RoundEffect]:
        """Advance to the next phase if the present phase can end."""
        is_late = self._deadline is not None and now >= self._deadline
        match self._at.phase:
            case Phase.BOOTSTRAPPING if not self._tracker.is_empty:
                effects, may_begin = self._parts.bootstrap.advance(now)
                if (state := self._parts.bootstrap.state) is not None:
                    return [*effects, *self._join(state, now)]
                return [*effects, *(self._begin_round(now) if may_begin else [])]
            case Phase.STEPPING if is_late:
                self._deadline, self._is_cut_short = None, True
                return [CutLocalStepShort(self._at.round)]
            case Phase.STEPPING if self._deadline is None and self._is_holding_up():
                self._deadline = now + PATIENCE_WITH_A_STEP * self._timeout.timeout_s
                return []
            case Phase.PAUSING if is_late:
                return self._share(now)
            case Phase.EXCHANGING:
                return self._mix_if_due(is_late, now)
            case Phase.AUDITING if not self._parts.auditing.is_waiting:
                return self._mix(now)
            case Phase.FINISHED if self._options.keeps_running:
                return self._stay_idle(now)
            case Phase.FINISHED if is_late or (self._barrier.is_served and not self._has_ended_before):
                return self._close(now)
            case _:
                return []

    def _is_holding_up(self) -> bool:
        """Whether a neighbor waits for the running local step, and the solver has not been stopped yet."""
        is_waited_for = not self._timing.is_asynchronous and self._barrier.is_waited_for(self._at.round)
        return is_waited_for and not self._is_cut_short

    # Rounds.

    def _join(self, state: StateReply, now: float) -> list[RoundEffect]:
        """Join running training: take over a neighbor's parameters and round."""
        self._termination.trust(state.stop_round)
        self._termination.is_held = state.stop_round >= 0
        self._at.enter(state.round, state.params)
        if state.stop_round >= 0:
            self._parts.epochs.learn_of_change("the samples here were not trained on")
        self._at.announced_round = state.round
        self._at.phase = Phase.EVALUATING
        return [*self._parts.bootstrap.announce(now), self._evaluate()]

    def _catch_up(self, now: float) -> list[RoundEffect]:
        """Take over the result of neighbors that have all ended in a later round."""
        self._at.phase = Phase.BOOTSTRAPPING
        self._parts.bootstrap.begin(now)
        return [*self._parts.bootstrap.advance(now)[0]]

    def _evaluate(self) -> Evaluate:
        return Evaluate(self._at.round, self._at.params, self._disagreement, self._at.epoch)

    def _evaluated(self, evaluated: Evaluated, now: float) -> list[RoundEffect]:
        is_asked = self._at.phase in (Phase.BOOTSTRAPPING, Phase.PROPOSING, Phase.EVALUATING)
        if evaluated.round != self._at.round or not is_asked:
            return []
        if self._at.phase is Phase.PROPOSING:
            self._tracker.replace_own(evaluated.gradient_sum, evaluated.n_samples, evaluated.curvature)
            return self._share_when_paced(now)
        self._exchange.evaluated(evaluated)
        return self._begin_round(now) if self._at.phase is Phase.EVALUATING or self._has_ended_before else []

    def _begin_round(self, now: float) -> list[RoundEffect]:
        """Begin a round: with its local step, or directly with its exchange where the schedule has no step."""
        self._parts.follow_epoch(now)
        self._deadline, self._at.announced_round, self._at.has_trained = None, self._at.round, True
        if self._parts.bootstrap.is_left_behind(now):
            return self._catch_up(now)
        if (ended_with := self._neighborhood.ended_with(now)) is not None:
            self._termination.trust(max(ended_with, self._at.round))
        if self._at.round >= self.last_round:
            return self._finish(now)
        is_mixing_only = self._termination.is_held or self._at.n_listening_rounds > 0
        if is_mixing_only or not is_step_round(self._at.schedule_round, self._options.exchanges):
            return self._propose(self._at.params, now)
        effects: list[RoundEffect] = [*self._barrier.notify_of_loneliness()]
        self._at.phase, self._is_cut_short, self._step = Phase.STEPPING, False, self._no_step()
        is_complete, self._is_complete = self._is_complete, True
        return [*effects, self._exchange.local_step(self._at.round, self._at.params, is_complete=is_complete)]

    def _local_step_done(self, done: LocalStepDone, now: float) -> list[RoundEffect]:
        if self._at.phase is not Phase.STEPPING or done.round != self._at.round:
            return []
        self._step = done
        if done.round == 0:
            self._stationarity.measured(done.residual)
        return self._propose(done.params, now)

    def _propose(self, params: Array, now: float) -> list[RoundEffect]:
        """Exchange a proposal, after its gradient was evaluated where the algorithm demands that order."""
        if not self._options.is_gradient_first:
            return self._share_when_paced(now)
        self._at.phase = Phase.PROPOSING
        return [Evaluate(self._at.round, params, self._disagreement, self._at.epoch)]

    def _share_when_paced(self, now: float) -> list[RoundEffect]:
        due = self._shared_at + self._timing.round_pace_s
        if now >= due:
            return self._share(now)
        self._at.phase = Phase.PAUSING
        self._deadline = due
        return []

    def _share(self, now: float) -> list[RoundEffect]:
        step = self._step
        proposal = step.params if step.round == self._at.round else self._at.params
        # Training does not end before absent neighbors return or their time is over.
        is_reached = self._stationarity.is_reached(step.residual, self._disagreement, step.remaining)
        is_quiet, held_up = self._parts.ending.hold_up(is_reached, now)
        effects: list[RoundEffect] = [*held_up]
        effects += self._exchange.give(
            self._at.round, proposal, step.proximal_weight, is_quiet, now, heard_since=now - self._patience_s
        )
        self._at.phase = Phase.EXCHANGING
        self._shared_at = now
        self._deadline = now + self._patience_s
        return effects + self._mix_if_due(is_late=False, now=now)

    @property
    def _patience_s(self) -> float:
        """The timeout of this round's shares; in asynchronous mode, of any share."""
        return self._timing.round_timeout_floor_s if self._timing.is_asynchronous else self._timeout.timeout_s

    def _mix_if_due(self, is_late: bool, now: float) -> list[RoundEffect]:
        if not (is_late or self._barrier.is_mixing_due(self._at.round, is_asynchronous=self._timing.is_asynchronous)):
            return []
        if audits := self._exchange.audit_before_mixing(self._at.round):
            self._at.phase, self._deadline = Phase.AUDITING, None
            return [*audits]
        return self._mix(now)

    def _mix(self, now: float) -> list[RoundEffect]:
        waited_s = now - self._shared_at
        if not self._barrier.is_alone:
            self._timeout.observe(waited_s)
        mixture = self._exchange.mix(self._at.round)
        audits = self._exchange.audit_after_mixing(self._at.round)
        effects: list[RoundEffect] = [*self._handlers.mixed(mixture, waited_s, now), *audits]
        self._at.params, self._at.n_listening_rounds = mixture.params, max(self._at.n_listening_rounds - 1, 0)
        self._disagreement = mixture.disagreement
        self.n_rounds_lost += not mixture.is_complete
        # In asynchronous mode no round is ever complete, and steps are judged by the shares that have come.
        self._is_complete = self._is_complete and (mixture.is_complete or self._timing.is_asynchronous)
        next_round = self._exchange.next_round(self._at.round, self._last_possible)
        self._at.round = max(self._at.round, min(next_round, self.last_round))
        if self._options.is_gradient_first and self._at.round < self.last_round:
            self._exchange.renew_estimate()
            return effects + self._begin_round(now)
        self._at.phase = Phase.EVALUATING
        self._deadline = None
        return [*effects, self._evaluate()]

    # The end.

    def _finish(self, now: float) -> list[RoundEffect]:
        self._at.phase = Phase.FINISHED
        self._at.params = with_zeros_of(self._step.params, self._at.params)
        self._deadline = None if self._options.keeps_running else now + self._timing.finish_timeout_s
        self._at.is_converged = self._at.round < self._last_possible
        self._parts.epochs.become_idle(now)
        reason = "converged" if self._at.is_converged else "all rounds done"
        return [Finish(self._at.round, self._at.params, reason), *self._handlers.finish(now)]

    def _close(self, now: float) -> list[RoundEffect]:
        """Close, unless an absent neighbor is expected back and would have to be told the last round."""
        is_prolonged, effects = self._parts.ending.prolong(now)
        if is_prolonged:
            self._deadline = now + VIGIL_S
            return [*effects]
        self._at.phase = Phase.CLOSED
        return [Close()]

    def _no_step(self) -> LocalStepDone:
        return LocalStepDone(-1, self._at.params, residual=np.inf, proximal_weight=0.0)

    def _stay_idle(self, now: float) -> list[RoundEffect]:
        """Go on serving, until there is a reason for another epoch, or others have gone through one alone."""
        if self._parts.bootstrap.is_left_behind(now):
            return self._catch_up(now)
        if not (reason := self._parts.epochs.reason(now)):
            return []
        self._parts.begin_epoch(now)
        self._step = self._no_step()
        self._at.phase, self._is_complete, self._has_ended_before = Phase.EVALUATING, False, False
        announced = self._parts.bootstrap.announce(now)
        return [Notify(EpochBegun(self._at.epoch, reason)), *announced, self._evaluate()]

    def _take_leave(self, farewell: type[Left] | type[Away], now: float) -> list[RoundEffect]:
        effects: list[RoundEffect] = [*self._handlers.take_leave(farewell, now)]
        self._at.phase = Phase.CLOSED
        return [*effects, Close()]
