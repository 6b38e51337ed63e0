"""Puts one agent together from its settings, and runs it to its end."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack

from threadpoolctl import threadpool_limits

from p2pnet.agent.assembly import Preparation, prepare, round_settings
from p2pnet.agent.daemon import Daemon
from p2pnet.agent.logs import open_log
from p2pnet.agent.memory import keep_freed_memory
from p2pnet.agent.names import PeerNames
from p2pnet.agent.neighbors import make_neighbors
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.base import Transport
from p2pnet.agent.transport.discovery import Discovery, LanDiscovery, NoDiscovery, announcement
from p2pnet.config import Settings
from p2pnet.protocol.rounds.neighborhood import Identity
from p2pnet.protocol.rounds.session import Session


def run_agent(settings: Settings, wrap_transport: Callable[[Transport], Transport] = lambda inner: inner) -> int:
    """Run one agent until its network has trained the model, or until it is told to leave; the exit code.

    `wrap_transport` puts something between the agent and its transport, such as a test's.
    """
    keep_freed_memory()
    log = open_log(settings.log, settings.agent.name)
    preparation = prepare(settings)
    keys = preparation.keys
    state = StateDirectory(settings.agent.state_dir)
    state.acquire()
    transport = wrap_transport(preparation.open_transport(settings.network.bind))
    with ExitStack() as at_exit:
        at_exit.callback(transport.close, 0.0)  # does nothing once the daemon has closed it
        identity = Identity(
            peer=keys.public,
            name=settings.agent.name,
            incarnation=state.next_incarnation(),
            fingerprint=preparation.fingerprint,
            address=settings.network.advertised_address or "",
        )
        machine = Session(identity, round_settings(settings, keys.public), preparation.summary, preparation.settling_s)
        discovery = _discovery(settings, preparation, transport, log)
        neighbors = make_neighbors(settings.network, preparation.allowed, identity, transport, log)
        names = PeerNames.of(settings.network)
        daemon = Daemon(machine, preparation.training, transport, neighbors, discovery, state, names, log)
        with threadpool_limits(limits=1, user_api="blas"):
            daemon.run()
    if daemon.is_computing or discovery.is_busy:
        # The interpreter would wait for these threads, or stumble over them; nothing that they do is needed any more.
        logging.shutdown()
        os._exit(0)
    return 0


def _discovery(settings: Settings, preparation: Preparation, transport: Transport, log: logging.Logger) -> Discovery:
    if settings.network.discovery == "none":
        return NoDiscovery()
    name, advertise = settings.agent.name, settings.network.advertise
    told = announcement(preparation.keys.public, name, preparation.fingerprint, advertise)
    bind = next(iter(transport.addresses), "none")
    is_welcome = preparation.allowed.__contains__
    return LanDiscovery(None if bind == "none" else told, bind, is_welcome, transport.wake, log)
