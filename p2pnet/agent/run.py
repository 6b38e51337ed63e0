"""Runs one agent to its end."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from threadpoolctl import threadpool_limits

from p2pnet.agent.assembly import make_discovery, make_node, prepare
from p2pnet.agent.checkpoints import Checkpoints
from p2pnet.agent.control.control import Control
from p2pnet.agent.control.endpoint import socket_path
from p2pnet.agent.control.journal import Journal
from p2pnet.agent.control.reloading import Reloading
from p2pnet.agent.control.server import ControlServer
from p2pnet.agent.control.view import AgentView
from p2pnet.agent.daemon import Daemon
from p2pnet.agent.descriptors import raise_descriptor_limit
from p2pnet.agent.gain import tell_gain
from p2pnet.agent.known_members import KnownMembers
from p2pnet.agent.logs import open_log
from p2pnet.agent.memory import keep_freed_memory
from p2pnet.agent.names import PeerNames
from p2pnet.agent.options import log_options
from p2pnet.agent.queries import Queries
from p2pnet.agent.resuming import Beginning, checkpoint_files, find_start
from p2pnet.agent.run_recorder import RunRecorder
from p2pnet.agent.service import make_service
from p2pnet.agent.service_manager import ServiceManager
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.base import Transport
from p2pnet.config import Settings
from p2pnet.errors import P2pnetError, TrainingError

FROM_CHECKPOINT = Beginning()


def listen(state: StateDirectory, wake: Callable[[], None]) -> ControlServer:
    """Open the control socket of the agent that holds this state directory, and leave word there of where it is."""
    server = ControlServer(socket_path(state.path, os.environ, os.geteuid()), wake)
    with suppress(TrainingError):  # a disk that takes nothing: the next start names the same socket
        state.save_control(server.path)
    return server


def run_agent(
    settings: Settings,
    wrap_transport: Callable[[Transport], Transport] = lambda transport: transport,
    beginning: Beginning = FROM_CHECKPOINT,
    read_again: Callable[[], Settings] | None = None,
) -> int:
    """Run one agent until its network has trained the model, or until it is told to leave; the exit code.

    `wrap_transport` may put something between the daemon and its transport, as a test does that makes a member lie.
    `read_again` reads the settings anew, where that is asked for.
    """
    keep_freed_memory()
    raise_descriptor_limit()
    log = open_log(log_options(settings))
    with told_in(log):
        return _run(settings, log, wrap_transport, beginning, read_again)


@contextmanager
def told_in(log: logging.Logger) -> Iterator[None]:
    """Log the error that ends the agent, where the log is a file: on standard error the caller says it."""
    try:
        yield
    except P2pnetError as error:
        if any(isinstance(handler, logging.FileHandler) for handler in log.handlers):
            log.error("%s", error)
        raise


def _run(
    settings: Settings,
    log: logging.Logger,
    wrap_transport: Callable[[Transport], Transport],
    beginning: Beginning,
    read_again: Callable[[], Settings] | None,
) -> int:
    journal = Journal()
    log.addHandler(journal)
    preparation = prepare(settings)
    for note in preparation.parts.train.notes:
        log.info("%s: %s", preparation.training_options.source, note)
    state = StateDirectory(preparation.state_dir)
    state.acquire()
    files = checkpoint_files(preparation, state)
    start = find_start(preparation, beginning, files, log)
    checkpoints = Checkpoints(
        files,
        preparation.checkpoint_interval_s,
        preparation.rounds.tolerance,
        log,
        time.monotonic,
        start.resumed,
    )
    trusted = preparation.trusted
    doorkeeper = None if trusted is None else trusted.doorkeeper(preparation.keys, time.time)
    invited = () if doorkeeper is None else (doorkeeper.knows,)
    transport = wrap_transport(preparation.open_transport(*invited))
    with ExitStack() as at_exit:
        at_exit.callback(transport.close, 0.0)  # does nothing once the daemon has closed it
        if (damage := state.damage(time.time())) is not None:
            log.warning("%s", damage)
        resumed = None if start.resumed is None else start.resumed.rounds
        known_members = KnownMembers(state.path, log, time.monotonic)
        node = make_node(preparation, state.next_incarnation(time.time()), resumed, known_members.read())
        discovery = make_discovery(preparation, transport, log)
        names = PeerNames.of(preparation.network, None if trusted is None else trusted.roster)
        recorder = RunRecorder(state, log, time.time, is_resumed=checkpoints.is_resumed)
        view = AgentView(
            node,
            transport,
            recorder,
            state.path,
            names,
            time.time,
            journal,
            is_sharing_metrics=preparation.is_sharing_metrics,
        )
        reloading = None if read_again is None else Reloading(settings, read_again, preparation.allow_list, log)
        control = Control(view, reloading, log, time.monotonic)
        control.open(lambda: listen(state, transport.wake))
        at_exit.callback(control.close)
        service = make_service(preparation, checkpoints, start.resumed, log) if preparation.watch_interval_s else None
        manager = ServiceManager.of(os.environ, os.getpid(), time.monotonic)
        daemon = Daemon(
            node,
            start.make_training,
            transport,
            discovery,
            names,
            log,
            checkpoints,
            recorder,
            control,
            manager,
            Queries(node, names, doorkeeper),
            known_members,
            service,
        )
        with threadpool_limits(limits=1, user_api="blas"):
            daemon.run()
            trained, model = daemon.training, daemon.saved_model
            if preparation.compare_alone_s is not None and trained is not None and model is not None:
                tell_gain(preparation, trained, model, preparation.compare_alone_s, state, log)
    if daemon.is_computing or discovery.is_busy:
        # The interpreter would wait for these threads, or stumble over them; nothing that they do is needed any more.
        logging.shutdown()
        os._exit(0)
    return 0
