"""Runs one agent to its end."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import ExitStack

from threadpoolctl import threadpool_limits

from p2pnet.agent.assembly import make_discovery, make_node, prepare
from p2pnet.agent.daemon import Daemon
from p2pnet.agent.descriptors import raise_descriptor_limit
from p2pnet.agent.gain import tell_gain
from p2pnet.agent.logs import open_log
from p2pnet.agent.memory import keep_freed_memory
from p2pnet.agent.names import PeerNames
from p2pnet.agent.options import log_options
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.base import Transport
from p2pnet.config import Settings


def run_agent(
    settings: Settings, wrap_transport: Callable[[Transport], Transport] = lambda transport: transport
) -> int:
    """Run one agent until its network has trained the model, or until it is told to leave; the exit code.

    `wrap_transport` may put something between the daemon and its transport, as a test does that makes a member lie.
    """
    keep_freed_memory()
    raise_descriptor_limit()
    log = open_log(log_options(settings))
    preparation = prepare(settings)
    for note in preparation.parts.train.notes:
        log.info("%s: %s", preparation.training_options.source, note)
    state = StateDirectory(preparation.state_dir)
    state.acquire()
    transport = wrap_transport(preparation.open_transport())
    with ExitStack() as at_exit:
        at_exit.callback(transport.close, 0.0)  # does nothing once the daemon has closed it
        if (damage := state.damage(time.time())) is not None:
            log.warning("%s", damage)
        node = make_node(preparation, state.next_incarnation(time.time()))
        discovery = make_discovery(preparation, transport, log)
        names = PeerNames.of(preparation.network)
        daemon = Daemon(node, preparation.training, transport, discovery, state, names, log)
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
