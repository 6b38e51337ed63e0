"""The daemon: one loop that polls the transport, feeds the round machine, and performs what it wants done.

Whatever takes long (gradients, local steps) runs on a thread of its own, so that the loop always answers.
"""

from __future__ import annotations

import logging
import os
import queue
import resource
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import final

import numpy as np
from threadpoolctl import threadpool_limits

from p2pnet.agent.data import load_data
from p2pnet.agent.logs import open_log
from p2pnet.agent.memory import keep_freed_memory
from p2pnet.agent.security import KeyPair, load_keys
from p2pnet.agent.state import Result, RoundRecord, StateDirectory
from p2pnet.agent.transport import (
    Connected,
    DialFailed,
    Disconnected,
    Received,
    Rejected,
    Transport,
    TransportEvent,
    TransportLimits,
)
from p2pnet.agent.zmq_transport import ZmqTransport
from p2pnet.config import Settings
from p2pnet.consensus.effects import (
    Close,
    DeadlineReached,
    Dial,
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
    PeerConnected,
    PeerDisconnected,
    PeerId,
    RunLocalStep,
    Send,
)
from p2pnet.consensus.messages import MAX_HEADER_BYTES, ForeignVersionError, Refuse, decode, encode
from p2pnet.consensus.neighborhood import Identity
from p2pnet.consensus.rounds import RoundMachine, RoundSettings
from p2pnet.consensus.timing import Timing
from p2pnet.errors import ProtocolError, TrainingError
from p2pnet.learner import Learner, NextLearner
from p2pnet.problem import fingerprint, make_optimizer, make_problem

CLOSE_LINGER_S = 0.5
ARRAYS_IN_A_MESSAGE = 2


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the learner's thread has computed."""

    event: Evaluated | LocalStepDone
    record: RoundRecord | None


def run_agent(settings: Settings) -> int:
    """Run one agent until its network has trained the model, or until it is told to leave; the exit code."""
    keep_freed_memory()
    keys = load_keys(settings.security.secret_key)
    log = open_log(settings.log, settings.agent.name)
    state = StateDirectory(settings.agent.state_dir)
    state.acquire()
    train, test = load_data(settings.data)
    problem = make_problem(settings.model, settings.objective, train)
    params = problem.first_params().astype(np.float64, copy=False)
    optimizer = make_optimizer(problem, settings.algorithm, train)
    transport = _open_transport(settings, keys, params.size)
    identity = Identity(
        peer=keys.public,
        name=settings.agent.name,
        incarnation=state.next_incarnation(),
        fingerprint=fingerprint(problem, settings, train),
        address=settings.network.advertised_address or "",
    )
    machine = RoundMachine(identity, _round_settings(settings), params)
    learner = NextLearner(optimizer, problem.metric(test))
    daemon = Daemon(machine, learner, transport, state, log, {"model": problem.model.describe()})
    log.info("listening on %s as %s", ", ".join(transport.addresses) or "nothing (dialing out only)", keys.public)
    for peer, address in _named_peers(settings).items():
        if address is not None:
            transport.dial(peer, address)
    with threadpool_limits(limits=1, user_api="blas"):
        daemon.run()
    return 0


def _open_transport(settings: Settings, keys: KeyPair, n_params: int) -> ZmqTransport:
    network = settings.network
    allowed = {*_named_peers(settings), *settings.security.allowed_peers}
    largest = ARRAYS_IN_A_MESSAGE * 8 * (n_params + 2) + MAX_HEADER_BYTES
    limits = TransportLimits(
        max_frames=1 + ARRAYS_IN_A_MESSAGE, max_message_bytes=min(largest, settings.network.max_message_bytes)
    )
    bind = () if network.bind == "none" else (network.bind,)
    return ZmqTransport.open(keys, bind, allowed.__contains__, limits)


def _named_peers(settings: Settings) -> dict[PeerId, str | None]:
    """The peers that the settings name, with the addresses to dial."""
    network = settings.network
    return {seed.public_key: seed.address for seed in network.seeds} | {
        neighbor.public_key: neighbor.address for neighbor in network.neighbors
    }


def _round_settings(settings: Settings) -> RoundSettings:
    network, algorithm = settings.network, settings.algorithm
    return RoundSettings(
        max_rounds=algorithm.rounds,
        exchanges=algorithm.exchanges,
        expected_neighbors=len(network.neighbors) or 1,
        max_neighbors=network.max_neighbors,
        max_diameter=network.max_diameter,
        tolerance=algorithm.tolerance,
        timing=Timing(
            round_timeout_s=network.round_timeout_s,
            round_pace_s=network.round_pace_s,
            start_timeout_s=network.start_timeout_s,
            finish_timeout_s=network.finish_timeout_s,
        ),
    )


@final
class Daemon:
    """The loop of one agent; everything that is decided is decided by the machine."""

    def __init__(
        self,
        machine: RoundMachine,
        learner: Learner,
        transport: Transport,
        state: StateDirectory,
        log: logging.Logger,
        model_description: Mapping[str, str],
    ) -> None:
        self._machine = machine
        self._learner = learner
        self._transport = transport
        self._state = state
        self._history = state.open_history()
        self._log = log
        self._model_description = model_description
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="learner")
        self._answers: queue.SimpleQueue[Future[_Answer]] = queue.SimpleQueue()
        self._first_record: RoundRecord | None = None
        self._stopped_because = "told to leave"
        self._is_leaving = False
        self._is_closed = False
        self._n_dropped = 0
        self._told_version: set[PeerId] = set()

    def run(self) -> None:
        """Until the machine closes; SIGTERM and SIGINT make it take leave, a second one ends the process at once."""
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self._perform(self._machine.start(time.monotonic()))
            while not self._is_closed:
                self._turn()
            self._save()
        finally:
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._transport.close(CLOSE_LINGER_S)
            self._history.close()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _turn(self) -> None:
        """Wait for something to happen, and see to it."""
        deadline = self._machine.next_deadline()
        timeout_s = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        for happening in self._transport.poll(timeout_s):
            self._handle_transport(happening)
        while not self._answers.empty():
            answer = self._answers.get().result()
            self._keep(answer.record)
            self._handle(answer.event)
        if self._is_leaving:
            self._log.info("told to leave; saying so to the neighbors")
            self._handle(LeaveRequested())
        deadline = self._machine.next_deadline()
        if deadline is not None and time.monotonic() >= deadline:
            self._handle(DeadlineReached())

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._is_leaving:
            os._exit(128 + number)
        self._is_leaving = True
        self._transport.wake()

    # What comes in.

    def _handle(self, event: Event) -> None:
        self._perform(self._machine.handle(event, time.monotonic()))

    def _handle_transport(self, happening: TransportEvent) -> None:
        match happening:
            case Received(peer, frames):
                self._receive(peer, frames)
            case Connected(peer):
                self._handle(PeerConnected(peer))
            case Disconnected(peer):
                self._handle(PeerDisconnected(peer))
            case DialFailed(peer, address, problem):
                self._log.debug("cannot reach %s at %s: %s", peer, address, problem)
            case Rejected(refusal, peer, address, n_unreported):
                more = f" (and {n_unreported} more)" if n_unreported else ""
                self._log.warning("rejected %s: %s%s", peer or address or "a stranger", refusal, more)

    def _receive(self, peer: PeerId, frames: tuple[memoryview, ...]) -> None:
        """Hand a message to the machine; one that breaks the protocol is dropped, counted and logged."""
        try:
            self._handle(MessageReceived(peer, decode(frames)))
        except ProtocolError as error:
            self._n_dropped += 1
            self._log.warning("dropped a message from %s: %s", peer, error)
            if isinstance(error, ForeignVersionError) and peer not in self._told_version:
                self._told_version.add(peer)
                self._transport.send(peer, encode(Refuse(str(error))))

    # What is to be done.

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(peer, message):
                    if not self._transport.send(peer, encode(message)):
                        self._log.debug("%s to %s could not be sent", type(message).__name__, peer)
                case Evaluate():
                    self._compute(partial(self._evaluate, effect))
                case RunLocalStep():
                    self._begin_history()
                    self._compute(partial(self._run_local_step, effect))
                case Dial(peer, address):
                    self._transport.dial(peer, address)
                case HangUp(peer, reason):
                    self._log.info("hung up on %s: %s", peer, reason)
                    self._transport.hang_up(peer)
                case Finish(round_, _, reason):
                    self._stopped_because = reason
                    self._log.info("finished after %d rounds: %s", round_, reason)
                    self._save_model()
                case Close():
                    self._is_closed = True
                case Log(is_warning, text):
                    self._log.log(logging.WARNING if is_warning else logging.INFO, text)

    def _compute(self, work: Callable[[], _Answer]) -> None:
        future = self._worker.submit(work)
        future.add_done_callback(self._answer)

    def _answer(self, future: Future[_Answer]) -> None:
        if not future.cancelled():
            self._answers.put(future)
            self._transport.wake()

    def _evaluate(self, effect: Evaluate) -> _Answer:
        evaluated = self._learner.evaluate(effect)
        if not np.all(np.isfinite(evaluated.gradient_sum)):
            raise TrainingError(
                f"round {effect.round}: the gradient is not finite any more; scale the data, or check the model"
            )
        seen = self._learner.observe()
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

    def _run_local_step(self, effect: RunLocalStep) -> _Answer:
        return _Answer(self._learner.run_local_step(effect), None)

    # What is kept.

    def _keep(self, record: RoundRecord | None) -> None:
        if record is None:
            return
        if record.round == 0:
            self._first_record = record  # its time is that of the start of training, still to come
            return
        self._history.append(record)
        self._log.debug("round %d: objective %.6g", record.round, record.objective_local)

    def _begin_history(self) -> None:
        if self._first_record is not None:
            self._log.info("training begins")
            self._history.append(replace(self._first_record, time_s=time.time()))
            self._first_record = None

    def _save_model(self) -> None:
        self._state.save_model(self._machine.params, self._model_description)

    def _save(self) -> None:
        self._save_model()
        self._state.save_books(self._machine.books())
        self._state.save_result(
            Result(
                agent=self._machine.neighborhood.identity.name,
                public_key=self._machine.neighborhood.identity.peer,
                rounds=self._machine.round,
                stopped_because=self._stopped_because,
                bytes_sent=self._transport.bytes_sent,
                bytes_received=self._transport.bytes_received,
                peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                n_messages_dropped=self._n_dropped,
                n_rejected={str(refusal): n for refusal, n in self._transport.n_rejected.items()},
            )
        )
