"""A round of 8 daemons on a loopback ring that have nothing to compute, against one of 8 bare processes.

The daemons run the shipped loop, machine, transport and history over CURVE, with a model of the size of the digits
demo's and float64 on the wire; only the learner does nothing. The bare processes send the same bytes to both neighbors
and wait for theirs.
"""

import logging
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import SystemRandom
from time import perf_counter
from typing import final

import numpy as np
import zmq

from benchmarks.base import Benchmark, Figure
from p2pnet.agent.checkpoint_files import CheckpointFiles, DirectoryFiles
from p2pnet.agent.checkpoints import Checkpoints
from p2pnet.agent.control.control import Control
from p2pnet.agent.control.journal import Journal
from p2pnet.agent.control.view import AgentView
from p2pnet.agent.daemon import Daemon
from p2pnet.agent.history import read_history
from p2pnet.agent.known_members import KnownMembers
from p2pnet.agent.memory import keep_freed_memory
from p2pnet.agent.names import PeerNames
from p2pnet.agent.queries import Queries
from p2pnet.agent.run_recorder import RunRecorder
from p2pnet.agent.service_manager import ServiceManager
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.discovery import NoDiscovery
from p2pnet.agent.transport.keys import KeyPair, generate_keys
from p2pnet.agent.transport.zmq_transport import ZmqTransport
from p2pnet.data.scaling import no_scaling
from p2pnet.protocol.core.effects import Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Evaluated, LocalStepDone
from p2pnet.protocol.core.types import FeatureStatistics
from p2pnet.protocol.node import Node
from p2pnet.protocol.peering.static_peering import StaticPeering
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session
from p2pnet.training.assessment import Assessment
from p2pnet.training.learner import Learner, Observation
from p2pnet.training.model_file import ModelDescription, Network
from p2pnet.training.training import Training

LOOPBACK = "tcp://127.0.0.1:0"
N_AGENTS = 8
N_PARAMS = 2_410  # of a 64-32-10 network
SHARE_BYTES = 2 * 8 * N_PARAMS
N_ROUNDS, N_SMALL_ROUNDS = 400, 60
N_WARM_UP_ROUNDS = 50
MOST_MS = 6.0


@final
class Ring(Benchmark):
    """Milliseconds of a round on a loopback ring of 8 daemons that compute nothing, and of 8 bare processes."""

    name = "ring"
    runs = 7

    def run(self, is_small: bool) -> Iterator[Figure]:
        n_rounds = N_SMALL_ROUNDS if is_small else N_ROUNDS
        # Both in one run: a machine that is busy slows both alike.
        with tempfile.TemporaryDirectory(prefix="p2pnet-") as directory:
            daemons, bare = (1000 * seconds_a_round(run, n_rounds, Path(directory)) for run in (run_daemon, run_bare))
        yield Figure("round of daemons", daemons, "ms", at_most=MOST_MS)
        yield Figure("round of bare processes", bare, "ms")
        yield Figure("daemons to bare", daemons / bare)


class StillLearner(Learner):
    """Computes nothing: no gradient, no step."""

    def evaluate(self, effect: Evaluate) -> Evaluated:
        return Evaluated(effect.round, np.zeros(N_PARAMS), 1)

    def observe(self) -> Observation:
        return Observation(0.0, 0.0, 0.1)

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        return LocalStepDone(effect.round, effect.params, 1.0, 0.1)


def still(_: FeatureStatistics | None) -> Training:
    description = ModelDescription(
        network=Network(text="still"),
        task="regression",
        classes=(),
        feature_names=(),
        target_name="y",
        scaling=no_scaling(0),
        loss="half-squared",
    )
    return Training(
        StillLearner(),
        np.zeros(N_PARAMS),
        {},
        description,
        lambda _: {},
        lambda round_, _: Assessment(round_, "still", ()),
    )


@dataclass(frozen=True)
class Place:
    """One agent's keys, its neighbors' public keys, and where it may write."""

    keys: KeyPair
    neighbors: tuple[str, str]
    directory: Path


def run_daemon(place: Place, n_rounds: int, pipe: Connection) -> None:
    keep_freed_memory()
    transport = ZmqTransport.open(place.keys, [LOOPBACK], place.neighbors.__contains__)
    pipe.send(transport.addresses[0])
    addresses: dict[str, str] = pipe.recv()
    settings = RoundOptions(max_rounds=n_rounds, expected_neighbors=2, tolerance=0.0, exchanges=1)
    state = StateDirectory(place.directory)
    state.acquire()
    identity = Identity(place.keys.public, place.directory.name, state.next_incarnation(time.time()), {})
    named = {peer: addresses[peer] for peer in place.neighbors}
    node = Node(Session(identity, settings, None), StaticPeering(named, len(named)), SystemRandom())
    log = logging.getLogger("ring")
    checkpoints = Checkpoints(
        CheckpointFiles(DirectoryFiles(place.directory), 1 << 20), math.inf, settings.tolerance, log, time.monotonic
    )
    names, recorder = PeerNames({}), RunRecorder(state, log, time.time)
    view = AgentView(node, transport, recorder, state.path, names, time.time, Journal())
    control = Control(view, None, log, time.monotonic)
    manager = ServiceManager.of({}, os.getpid(), time.monotonic)
    daemon = Daemon(
        node,
        still,
        transport,
        NoDiscovery(),
        names,
        log,
        checkpoints,
        recorder,
        control,
        manager,
        Queries(node, names),
        KnownMembers(state.path, log, time.monotonic),
    )
    daemon.run()
    times = [record.time_s for record in read_history(place.directory / "history.csv")]
    pipe.send((times[-1] - times[N_WARM_UP_ROUNDS]) / (len(times) - 1 - N_WARM_UP_ROUNDS))


def run_bare(place: Place, n_rounds: int, pipe: Connection) -> None:
    """Dials the second neighbor and is dialed by the first: one connection serves both directions of a pair."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.curve_server = True
    dealer = context.socket(zmq.DEALER)
    for end in (router, dealer):
        end.linger = 0
        end.curve_publickey, end.curve_secretkey = place.keys.public.encode(), place.keys.secret.encode()
    pipe.send(f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}")
    addresses: dict[str, str] = pipe.recv()
    dealer.curve_serverkey = place.neighbors[1].encode()
    dealer.connect(addresses[place.neighbors[1]])
    payload = bytes(SHARE_BYTES)
    dealer.send(b"")
    routing_id = router.recv_multipart()[0]
    for index in range(n_rounds):
        if index == N_WARM_UP_ROUNDS:
            start = perf_counter()
        dealer.send(payload)
        router.send_multipart([routing_id, payload])
        dealer.recv()
        router.recv_multipart()
    pipe.send((perf_counter() - start) / (n_rounds - N_WARM_UP_ROUNDS))
    pipe.recv()  # no process closes while a neighbor still waits
    context.destroy()


def seconds_a_round(run: Callable[[Place, int, Connection], None], n_rounds: int, directory: Path) -> float:
    """The slowest agent's."""
    spawn = multiprocessing.get_context("spawn")
    keys = [generate_keys() for _ in range(N_AGENTS)]
    pipes = [spawn.Pipe() for _ in keys]
    processes = []
    for k, (pair, (_, there)) in enumerate(zip(keys, pipes, strict=True)):
        neighbors = keys[k - 1].public, keys[(k + 1) % N_AGENTS].public
        place = Place(pair, neighbors, directory / run.__name__ / f"agent-{k}")
        processes.append(spawn.Process(target=run, args=(place, n_rounds, there), daemon=True))
        processes[-1].start()
    addresses = {pair.public: here.recv() for pair, (here, _) in zip(keys, pipes, strict=True)}
    for here, _ in pipes:
        here.send(addresses)
    slowest = max(float(here.recv()) for here, _ in pipes)
    for here, _ in pipes:
        here.send(None)
    for process in processes:
        process.join()
    return slowest
