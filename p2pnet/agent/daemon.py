"""The daemon: an event loop that polls the transport, hands events to the node, and performs its effects.

Gradients and local steps that take long run on a thread of their own (`worker.py`), so that the loop always answers.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import assert_never, final

from p2pnet.agent import computing
from p2pnet.agent.checkpoints import Checkpoints
from p2pnet.agent.computing import Answer, Computed
from p2pnet.agent.control.assessing import Assessing
from p2pnet.agent.control.control import Command, Control
from p2pnet.agent.known_members import KnownMembers
from p2pnet.agent.logs import LineBudget
from p2pnet.agent.names import PeerNames
from p2pnet.agent.notice_text import level_of, text_of
from p2pnet.agent.progress import Progress
from p2pnet.agent.queries import Queries
from p2pnet.agent.rejections import Rejections
from p2pnet.agent.run_recorder import RunRecorder
from p2pnet.agent.saved_model import model_file_of
from p2pnet.agent.service import Service
from p2pnet.agent.service_manager import ServiceManager
from p2pnet.agent.signals import Signals
from p2pnet.agent.transport.base import Queried, Received, Rejected, Transport, TransportEvent
from p2pnet.agent.transport.discovery import Discovery
from p2pnet.agent.worker import Worker
from p2pnet.errors import P2pnetError, ProtocolError, TrainingError
from p2pnet.protocol.core import events
from p2pnet.protocol.core.codec import ForeignVersionError
from p2pnet.protocol.core.effects import (
    Audit,
    Choose,
    Close,
    Conclude,
    CutLocalStepShort,
    Describe,
    Dial,
    Effect,
    Evaluate,
    Finish,
    HangUp,
    KeepRecords,
    Measure,
    Notify,
    Prepare,
    Rescale,
    RunLocalStep,
    Send,
)
from p2pnet.protocol.core.notices import MessageDropped, Notice, StatisticsUnsettled
from p2pnet.protocol.core.types import FeatureStatistics, PeerId
from p2pnet.protocol.messages.training import Refuse, Reset
from p2pnet.protocol.messages.wire import decode, encode
from p2pnet.protocol.node import Node, NodeEvent
from p2pnet.training.learner import Learner
from p2pnet.training.model_file import ModelFile
from p2pnet.training.records import LearnerState, RoundRecord
from p2pnet.training.training import Training

CLOSE_LINGER_S = 0.15
GOODBYE_TIMEOUT_S = 0.5
"""How long withdrawing the mDNS announcement may take."""


@final
class Daemon:
    """The event loop of one agent; all decisions are the node's."""

    def __init__(
        self,
        node: Node,
        make_training: Callable[[FeatureStatistics | None], Training],
        transport: Transport,
        discovery: Discovery,
        names: PeerNames,
        log: logging.Logger,
        checkpoints: Checkpoints,
        recorder: RunRecorder,
        control: Control,
        manager: ServiceManager,
        queries: Queries,
        known_members: KnownMembers,
        service: Service | None = None,
    ) -> None:
        """With a `service` the agent keeps running."""
        self._node, self._service = node, service
        self._make_training = make_training
        self._training: Training | None = None
        self._transport = transport
        self._discovery = discovery
        self._rejections = Rejections(node.identity, names, log)
        self._recorder = recorder
        self._progress = Progress(log, manager.tell_status)
        self._control, self._manager = control, manager
        self._queries, self._known_members = queries, known_members
        self._checkpoints = checkpoints
        self._learner_state = LearnerState()
        self._names, self._log = names, log
        self._worker = Worker[Computed](transport.wake)
        self._stopped_because = ""
        self._conclusion: Conclude | None = None
        self._lacks: tuple[str, ...] = ()
        self._signals = Signals(transport.wake, self._save_checkpoint, is_service=service is not None)
        self._is_closed = False
        self._n_dropped = self._n_refused = 0
        self._line_budget = LineBudget()
        self._assessing = Assessing(lambda work: self._worker.do("assess", partial(computing.aside, work)))

    @property
    def is_computing(self) -> bool:
        """Whether the learner's thread is computing."""
        return self._worker.is_busy

    @property
    def training(self) -> Training | None:
        """What has been trained; None where that was not prepared."""
        return self._training

    @property
    def saved_model(self) -> ModelFile | None:
        """The model that was saved at the end of training; None where the agent was told to go before."""
        return None if self._signals.farewell is not None else self._recorder.saved_model

    def run(self) -> None:
        """Run the loop until the node closes, or a signal says so (`signals.py`)."""
        with self._signals.handled():
            self._run()

    def _run(self) -> None:
        addresses = ", ".join(self._transport.addresses) or "nothing (dialing out only)"
        self._log.info("listening on %s as %s", addresses, self._node.identity.peer)
        try:
            self._discovery.start()
            self._perform(self._node.start(time.monotonic()))
            self._manager.tell_ready()
            while not self._is_closed:
                self._turn()
            self._save_model()
            self._recorder.save_end(
                self._node.identity,
                self._node.rounds,
                self._stopped_because,
                self._transport,
                self._n_dropped,
                self._n_refused,
            )
        except P2pnetError:
            self._go_in_haste()
            raise
        finally:
            self._manager.tell_stopping()
            self._known_members.keep(self._node.peering.addresses)
            self._save_checkpoint()
            self._worker.close()
            self._discovery.close(GOODBYE_TIMEOUT_S)
            self._transport.close(CLOSE_LINGER_S)
            self._control.close()

    def _turn(self) -> None:
        """Wait for events, and handle them."""
        deadline = self._node.next_deadline()
        look_at = None if self._service is None else self._service.next_look_at
        due = min(at for at in (deadline, look_at, self._manager.next_keep_alive) if at is not None)
        timeout_s = None if due == math.inf else max(due - time.monotonic(), 0.0)
        for happening in self._transport.poll(0.0 if self._worker.has_answer else timeout_s):
            self._handle_transport(happening)
        for agent in self._discovery.take():
            where = ", ".join(agent.addresses)
            self._log_cause(agent.peer, logging.INFO, f"found {agent.name} ({agent.peer}) on the LAN at {where}")
            self._handle(events.PeerFound(agent.peer, agent.addresses))
        while self._worker.has_answer:
            computed = self._worker.take()
            if computed.record is not None and self._training is not None:
                self._recorder.test_metric_name = self._training.metric_name
                self._recorder.keep(computed.record)
                self._progress.tell(computed.record, self._training.metric_name)
            if computed.learner is not None:
                self._learner_state = computed.learner
            self._training = computed.training.begun if computed.training else self._training
            self._handle_answer(computed.answer)
        if self._service is not None and self._training is not None and self._service.has_news:
            self._worker.do("read", partial(computing.train_anew, self._service))
        self._manager.keep_alive()
        self._control.serve(self._carry_out)
        for peer in self._control.take_revoked():
            self._handle(events.PeerRevoked(peer))
        if self._signals.take_reload():
            self._control.reload()
        if self._control.take_reload() and self._service is not None:
            self._service.ask()
        if (farewell := self._signals.farewell) is not None:
            what = "go away for a while" if isinstance(farewell, events.AwayRequested) else "leave"
            self._stopped_because = self._stopped_because or f"told to {what}"
            self._log.info("told to %s; saying so to the neighbors", what)
            self._handle(farewell)
        if deadline is not None and time.monotonic() >= deadline:
            self._handle(events.DeadlineReached())
        if self._known_members.is_due:
            self._known_members.keep(self._node.peering.addresses)
        if self._checkpoints.is_due and self._training is not None:
            self._checkpoints.save_aside(self._node.snapshot(), self._learner_state, self._training.fingerprint)

    def _go_in_haste(self) -> None:
        """Tell the neighbors that an error ends this agent: it may be started again, and is not to be missed first."""
        with suppress(P2pnetError):
            self._perform(self._node.handle(events.AwayRequested(), time.monotonic()))

    def _carry_out(self, command: Command) -> Mapping[str, object]:
        """Carry out a command of the control socket that changes the course of this agent, or is to compute."""
        match command:
            case Command.MODEL:
                return self._assessing.ask(self._training, self._node.rounds)
            case Command.LEAVE:
                self._signals.farewell = self._signals.farewell or events.LeaveRequested()
            case Command.AWAY:
                self._signals.farewell = self._signals.farewell or events.AwayRequested()
            case Command.CHECKPOINT:
                self._save_checkpoint()
            case Command.RECORDS:
                records = tuple(self._queries.new_records())
                self._handle(events.RecordsSigned(records))
                return {"read": len(records)}
            case _:
                raise AssertionError(f"{command} is answered elsewhere")
        return {}

    # Events.

    def _handle_answer(self, event: Answer | None) -> None:
        """Hand in what the learner's thread has come to, if anything."""
        if event is not None:
            self._control.view.note(event)
            self._handle(event)
        if isinstance(event, events.Prepared) and self._service is not None and self._service.is_behind:
            self._handle(events.SamplesChanged())

    def _handle(self, event: NodeEvent) -> None:
        self._perform(self._node.handle(event, time.monotonic()))

    def _handle_transport(self, happening: TransportEvent) -> None:
        match happening:
            case Received(peer, frames):
                self._receive(peer, frames)
            case Queried(peer, frames):
                answer = self._queries.answer(peer, frames)
                self._log_cause(peer, logging.INFO, answer.text)
                self._handle(events.RecordsSigned(answer.signed))  # others hear of it before who asked
                self._transport.reply(peer, answer.frames)
            case events.PeerConnected() | events.PeerDisconnected() | events.DialFailed():
                self._handle(happening)
            case Rejected():
                self._rejections.tell(happening)
            case _:
                assert_never(happening)

    def _receive(self, peer: PeerId, frames: tuple[memoryview, ...]) -> None:
        """Decode a message and hand it to the node; a malformed message is dropped, counted and logged."""
        effects: list[Effect]
        try:
            message = decode(frames)
        except ForeignVersionError as error:
            effects = self._node.handle(events.ForeignVersionReceived(peer, error.version), time.monotonic())
        except ProtocolError as error:
            effects = [Notify(MessageDropped(peer, str(error)))]
        else:
            effects = self._node.handle(events.MessageReceived(peer, message), time.monotonic())
        for effect in effects:
            if isinstance(effect, Send) and isinstance(effect.message, Refuse | Reset):
                self._n_refused += 1
                self._log_cause(peer, logging.DEBUG, f"answered {effect.peer} with {effect.message}")
        self._perform(effects, cause=peer)

    # Effects.

    def _perform(self, effects: list[Effect], cause: PeerId | None = None) -> None:
        """Perform the effects, in order; `cause` is the peer whose message caused them."""
        for effect in effects:
            match effect:
                case Send(peer, message):
                    if not self._transport.send(peer, encode(message, self._node.version_with(peer))):
                        self._log.debug("%s to %s could not be sent", type(message).__name__, peer)
                case Dial(peer, addresses):
                    self._transport.dial(peer, *addresses)
                case HangUp(peer):
                    self._transport.hang_up(peer)
                case Prepare(statistics):
                    self._worker.do("prepare", partial(self._prepare, statistics))
                case Rescale():
                    self._worker.do("rescale", partial(computing.rescale, self._service, effect))
                case Evaluate():
                    self._worker.do("evaluate", partial(self._evaluate, self._learner, effect))
                case RunLocalStep():
                    self._recorder.begin()
                    self._worker.do("local step", partial(computing.run_local_step, self._learner, effect))
                case Audit() | Measure() | Choose():
                    self._worker.do(type(effect).__name__, partial(computing.answer, self._learner, effect))
                case CutLocalStepShort(round_):
                    self._log.debug("neighbors wait: the local step of round %d is cut short", round_)
                    self._learner.cut_short(round_)
                case Finish(round_, _, reason):
                    self._stopped_because, self._conclusion = reason, None
                    self._log.info("finished after %d rounds: %s", round_, reason)
                    self._lacks = self._node.absent_names
                    self._try_to_save_model()
                    self._save_checkpoint()
                case Conclude():
                    self._conclusion = effect
                    self._try_to_save_model()
                    self._save_checkpoint()
                case Close():
                    self._is_closed = True
                case KeepRecords(records):
                    self._queries.keep(records, self._log)
                case Describe():
                    self._handle(events.Described(self._control.view.observed()))
                case Notify(StatisticsUnsettled() as notice):
                    raise TrainingError(text_of(notice, self._names))
                case Notify(notice):
                    self._tell(notice, cause)
                case _:
                    assert_never(effect)

    def _tell(self, notice: Notice, cause: PeerId | None) -> None:
        if isinstance(notice, MessageDropped):
            self._n_dropped += 1
        level, text = level_of(notice), text_of(notice, self._names)
        if cause is None:
            self._log.log(level, "%s", text)
        else:
            self._log_cause(cause, level, text)

    def _log_cause(self, peer: PeerId, level: int, text: str) -> None:
        """Log a line caused by a peer, within the peer's budget of lines."""
        if not self._log.isEnabledFor(level):
            return
        n_withheld = self._line_budget.admit(peer, time.monotonic())
        if n_withheld is not None:
            self._log.log(level, "%s%s", text, f" (and {n_withheld} lines more before)" if n_withheld else "")

    @property
    def _learner(self) -> Learner:
        if self._training is None:
            raise AssertionError("the node wants something computed before it has been prepared")
        return self._training.learner

    def _prepare(self, statistics: FeatureStatistics | None) -> Computed:
        training = self._make_training(statistics)
        self._training = training.begun
        if self._service is not None:
            self._service.begin(self._training)
        return Computed(training.prepared, None)

    def _evaluate(self, learner: Learner, effect: Evaluate) -> Computed:
        evaluated = computing.require_finite(learner.evaluate(effect))
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
        return Computed(evaluated, record, learner.state())

    def _save_checkpoint(self) -> None:
        if self._training is not None:
            self._checkpoints.save(self._node.snapshot(), self._learner_state, self._training.fingerprint)

    def _save_model(self) -> None:
        if self._is_model_saved_before:
            return
        if self._training is not None and self._node.rounds is not None:
            latest, now = self._recorder.latest, time.time()
            model = model_file_of(self._training, self._node, latest, now, self._conclusion, self._lacks)
            self._recorder.save_model(model)

    @property
    def _is_model_saved_before(self) -> bool:
        """Whether the model is there with the network's metrics, which an earlier process has found."""
        snapshot = self._node.snapshot()
        is_concluded = snapshot is not None and snapshot.is_concluded
        return is_concluded and self._conclusion is None and self._recorder.has_model

    def _try_to_save_model(self) -> None:
        """Try to save the model before the agent has left, in case that the process is killed meanwhile."""
        try:
            self._save_model()
        except TrainingError as error:
            self._log.warning("%s; trying once more at the end", error)
