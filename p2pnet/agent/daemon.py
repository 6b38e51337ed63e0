"""The daemon: one loop that polls the transport, feeds the round machine, and performs what it wants done.

Gradients and local steps that take long run on a thread of their own (`worker.py`), so that the loop always answers.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import SystemRandom
from types import FrameType
from typing import final

import numpy as np

from p2pnet import __version__
from p2pnet.agent.diagnostics.status import NodeStatus, encode_status
from p2pnet.agent.logs import LineBudget
from p2pnet.agent.names import PeerNames
from p2pnet.agent.neighbors import Neighbors, News
from p2pnet.agent.rejections import Rejections
from p2pnet.agent.run_recorder import RunRecorder
from p2pnet.agent.state_directory import RoundRecord, StateDirectory
from p2pnet.agent.transport.base import (
    Connected,
    DialFailed,
    Disconnected,
    Inquired,
    Received,
    Rejected,
    Transport,
    TransportEvent,
)
from p2pnet.agent.transport.discovery import Discovery
from p2pnet.agent.unreached import UnreachablePeers
from p2pnet.agent.worker import Worker
from p2pnet.errors import ProtocolError, TrainingError
from p2pnet.protocol.messages.training import (
    PROTOCOL_VERSION,
    FeatureStatistics,
    ForeignVersionError,
    Refuse,
    Reset,
    decode,
    encode,
)
from p2pnet.protocol.peering.backoff import Backoff
from p2pnet.protocol.rounds.effects import (
    AwayRequested,
    Close,
    CutLocalStepShort,
    DeadlineReached,
    Effect,
    Evaluate,
    Evaluated,
    Event,
    Finish,
    HangUp,
    LeaveRequested,
    LocalStepDone,
    Log,
    MessageReceived,
    PeerId,
    Prepare,
    Prepared,
    PutOff,
    RunLocalStep,
    Send,
)
from p2pnet.protocol.rounds.session import Session
from p2pnet.training.learner import Learner
from p2pnet.training.training import Training

FAREWELLS: Mapping[signal.Signals, LeaveRequested | AwayRequested] = {
    signal.SIGTERM: LeaveRequested(),
    signal.SIGINT: LeaveRequested(),
    signal.SIGHUP: AwayRequested(),
}
CLOSE_LINGER_S = 0.15
GOODBYE_TIMEOUT_S = 0.5
"""For taking back what was told the local network."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the learner's thread has computed."""

    event: Evaluated | LocalStepDone | Prepared
    record: RoundRecord | None


def require_finite(evaluated: Evaluated) -> Evaluated:
    """The same, or TrainingError: a gradient that is not finite would spoil every agent's model."""
    if not np.all(np.isfinite(evaluated.gradient_sum)):
        raise TrainingError(
            f"round {evaluated.round}: the gradient is not finite; scale the data, or check the model for overflow"
        )
    return evaluated


@final
class Daemon:
    """The loop of one agent; everything that is decided is decided by the machine."""

    def __init__(
        self,
        machine: Session,
        make_training: Callable[[FeatureStatistics | None], Training],
        transport: Transport,
        neighbors: Neighbors,
        discovery: Discovery,
        state: StateDirectory,
        names: PeerNames,
        log: logging.Logger,
    ) -> None:
        self._machine = machine
        self._make_training = make_training
        self._training: Training | None = None
        self._transport = transport
        self._neighbors = neighbors
        self._discovery = discovery
        self._unreached = UnreachablePeers()
        self._backoff = Backoff(SystemRandom().uniform)
        self._rejections = Rejections(machine.identity.peer, names, log)
        self._records = RunRecorder(state, log, time.time)
        self._names = names
        self._log = log
        self._worker = Worker[_Answer](transport.wake)
        self._stopped_because = ""
        self._farewell: LeaveRequested | AwayRequested | None = None
        self._is_closed = False
        self._n_dropped = 0
        self._n_refused = 0
        self._line_budget = LineBudget()

    @property
    def is_computing(self) -> bool:
        """Whether the learner's thread is still at work."""
        return self._worker.is_busy

    def run(self) -> None:
        """Until the machine closes. SIGTERM and SIGINT make it take leave, SIGHUP go away for a while, unless nohup has
        it ignored; a second signal ends the process at once.
        """
        is_detached = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        numbers = [number for number in FAREWELLS if not (is_detached and number is signal.SIGHUP)]
        previous = {number: signal.signal(number, self._on_signal) for number in numbers}
        addresses = ", ".join(self._transport.addresses) or "nothing (dialing out only)"
        self._log.info("listening on %s as %s", addresses, self._machine.identity.peer)
        try:
            self._discovery.start()
            self._tell(self._neighbors.start())
            self._perform(self._machine.start(time.monotonic()))
            while not self._is_closed:
                self._turn()
            if not isinstance(self._farewell, AwayRequested):
                self._neighbors.leave()
            self._save_model()
            self._records.save_end(
                self._machine.identity,
                self._machine.rounds,
                self._stopped_because,
                self._transport,
                self._n_dropped,
                self._n_refused,
            )
        finally:
            self._worker.close()
            self._discovery.close(GOODBYE_TIMEOUT_S)
            self._transport.close(CLOSE_LINGER_S)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _turn(self) -> None:
        """Wait for something to happen, and see to it."""
        deadline = self._machine.next_deadline()
        deadlines = [at for at in (deadline, self._neighbors.next_deadline()) if at is not None]
        timeout_s = max(min(deadlines) - time.monotonic(), 0.0) if deadlines else None
        for happening in self._transport.poll(0.0 if self._worker.has_answer else timeout_s):
            self._handle_transport(happening)
        self._take_what_was_found()
        self._tell(self._neighbors.deadline_reached())
        while self._worker.has_answer:
            answer = self._worker.take()
            if answer.record is not None:
                self._records.keep(answer.record)
            self._handle(answer.event)
        if self._farewell is not None:
            what = "go away for a while" if isinstance(self._farewell, AwayRequested) else "leave"
            self._stopped_because = self._stopped_because or f"told to {what}"
            self._log.info("told to %s; saying so to the neighbors", what)
            self._handle(self._farewell)
        if deadline is not None and time.monotonic() >= deadline:
            self._handle(DeadlineReached())

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._farewell is not None:
            os._exit(128 + number)
        self._farewell = FAREWELLS[signal.Signals(number)]
        self._transport.wake()

    # What comes in.

    def _handle(self, event: Event | Prepared) -> None:
        self._perform(self._machine.handle(event, time.monotonic()))

    def _tell(self, news: list[News]) -> None:
        """Let the machine know of its neighbors."""
        for event in news:
            self._handle(event)

    def _handle_transport(self, happening: TransportEvent) -> None:
        match happening:
            case Received(peer, frames):
                self._receive(peer, frames)
            case Inquired(peer):
                self._log_cause(peer, logging.INFO, f"{self._names.call(peer)} asks who this is")
                self._transport.reply(peer, encode_status(self._portrait(peer)))
            case Connected(peer):
                self._unreached.reached(peer)
                self._tell(self._neighbors.connected(peer))
            case Disconnected(peer):
                self._backoff.disconnected(peer, time.monotonic())
                self._tell(self._neighbors.disconnected(peer))
            case DialFailed(peer, address, problem):
                is_news = self._neighbors.is_missed(peer) and self._unreached.is_news(happening, time.monotonic())
                level = logging.WARNING if is_news else logging.DEBUG
                called = self._names.call(peer)
                self._log.log(level, "cannot reach %s at %s: %s; trying again", called, address, problem)
                self._tell(self._neighbors.dial_failed(happening))
            case Rejected():
                self._rejections.tell(happening)

    def _take_what_was_found(self) -> None:
        for agent in self._discovery.take():
            where = ", ".join(agent.addresses)
            self._log_cause(agent.peer, logging.INFO, f"found {agent.name} ({agent.peer}) on the LAN at {where}")
            self._tell(self._neighbors.found(agent))

    def _portrait(self, peer: PeerId) -> NodeStatus:
        """What is told a peer that asks who this is."""
        identity, rounds = self._machine.identity, self._machine.rounds
        asking = None if rounds is None else rounds.neighborhood.find(peer)
        return NodeStatus(
            protocol=PROTOCOL_VERSION,
            name=identity.name,
            software=__version__,
            fingerprint=identity.fingerprint,
            round=-1 if rounds is None else rounds.neighborhood.round,
            known_incarnation=asking.theirs.incarnation if asking and asking.theirs else -1,
            time_s=time.time(),
        )

    def _receive(self, peer: PeerId, frames: tuple[memoryview, ...]) -> None:
        """Hand a message to the machine; one that breaks the protocol is dropped, counted and logged."""
        try:
            news, is_for_machine = self._neighbors.received(peer, frames)
            self._tell(news)
            if not is_for_machine:
                return
            message = decode(frames)
            effects = self._machine.handle(MessageReceived(peer, message), time.monotonic())
        except ProtocolError as error:
            self._n_dropped += 1
            called = self._names.call(peer)
            if isinstance(error, ForeignVersionError):
                # Neither can read what the other says, so that no words of ours would help there.
                self._perform([PutOff(peer, f"{called} speaks another {error}; install the same p2pnet on both")])
            else:
                self._log_cause(peer, logging.WARNING, f"dropped a message from {called}: {error}")
            return
        for effect in effects:
            if isinstance(effect, Log):
                self._log_cause(peer, _level(effect), effect.text)
                continue
            if isinstance(effect, Send) and isinstance(effect.message, Refuse | Reset):
                self._n_refused += 1
                self._log_cause(peer, logging.DEBUG, f"answered {effect.peer} with {effect.message}")
            self._perform([effect])

    def _log_cause(self, peer: PeerId, level: int, text: str) -> None:
        """Log what a peer's message brought about, as long as it does not do so too often."""
        if not self._log.isEnabledFor(level):
            return
        n_withheld = self._line_budget.admit(peer, time.monotonic())
        if n_withheld is not None:
            self._log.log(level, "%s%s", text, f" (and {n_withheld} lines more before)" if n_withheld else "")

    # What is to be done.

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(peer, message):
                    if not self._transport.send(peer, encode(message)):
                        self._log.debug("%s to %s could not be sent", type(message).__name__, peer)
                case Prepare(survey):
                    self._worker.do("prepare", partial(self._prepare, survey))
                case Evaluate() if self._training is not None:
                    self._worker.do("evaluate", partial(self._evaluate, self._training.learner, effect))
                case RunLocalStep() if self._training is not None:
                    self._records.begin()
                    self._worker.do("local step", partial(_run_local_step, self._training.learner, effect))
                case CutLocalStepShort(round_) if self._training is not None:
                    self._log.debug("neighbors wait: the local step of round %d is cut short", round_)
                    self._training.learner.cut_short(round_)
                case HangUp(peer, reason):
                    self._log.info("hung up on %s: %s", self._names.call(peer), reason)
                    until, _ = self._backoff.refused(peer, reason, time.monotonic())
                    self._tell(self._neighbors.put_off(peer, until))
                case PutOff(peer, reason):
                    until, is_news = self._backoff.refused(peer, reason, time.monotonic())
                    self._log_cause(peer, logging.WARNING if is_news else logging.DEBUG, reason)
                    self._tell(self._neighbors.put_off(peer, until))
                case Finish(round_, _, reason):
                    self._stopped_because = reason
                    self._log.info("finished after %d rounds: %s", round_, reason)
                    self._try_to_save_model()
                case Close():
                    self._is_closed = True
                case Log(_, text):
                    self._log.log(_level(effect), "%s", text)

    def _prepare(self, survey: FeatureStatistics | None) -> _Answer:
        self._training = training = self._make_training(survey)
        return _Answer(Prepared(training.fingerprint, training.params), None)

    def _evaluate(self, learner: Learner, effect: Evaluate) -> _Answer:
        evaluated = require_finite(learner.evaluate(effect))
        seen = learner.observe()
        record = RoundRecord(
            effect.round,
            time.time(),
            seen.objective_local,
            seen.test_metric,
            effect.disagreement,
            seen.proximal_weight,
            self._transport.bytes_sent,
        )
        return _Answer(evaluated, record)

    def _save_model(self) -> None:
        if self._training is not None and self._machine.rounds is not None:
            params = self._training.learner.feasible(self._machine.rounds.params)
            self._records.save_model(params.astype(np.float64, copy=False), self._training.description)

    def _try_to_save_model(self) -> None:
        """Early, in case that the process is killed while it takes leave; then there may be room."""
        try:
            self._save_model()
        except TrainingError as error:
            self._log.warning("%s; trying once more at the end", error)


def _run_local_step(learner: Learner, effect: RunLocalStep) -> _Answer:
    return _Answer(learner.run_local_step(effect), None)


def _level(log: Log) -> int:
    return logging.WARNING if log.is_warning else logging.INFO
