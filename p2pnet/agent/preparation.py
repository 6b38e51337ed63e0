"""What an agent runs with, made from its settings; whatever in them does not go together is refused here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from p2pnet.agent.data import Samples, load_data
from p2pnet.agent.security import KeyPair, load_keys
from p2pnet.agent.transport import PeerId, TransportLimits
from p2pnet.agent.zmq_transport import ZmqTransport
from p2pnet.config import AlgorithmSettings, NetworkSettings, Settings
from p2pnet.consensus.messages import MAX_HEADER_BYTES, Array
from p2pnet.consensus.rounds import RoundSettings
from p2pnet.consensus.timing import Timing
from p2pnet.consensus.tracker import N_SIGNS
from p2pnet.errors import ConfigError
from p2pnet.learner import NextLearner, Weighting
from p2pnet.problem import Problem, fingerprint, make_optimizer, make_problem, worker_map

ARRAYS_IN_A_MESSAGE = 2
_BYTES_OF_A_NUMBER = 8


@dataclass(frozen=True, slots=True)
class Preparation:
    """One agent before it has touched anything but its own files."""

    keys: KeyPair
    train: Samples
    test: Samples
    problem: Problem
    learner: NextLearner
    params: Array = field(repr=False)
    """the parameters that training begins with"""
    fingerprint: dict[str, str]
    limits: TransportLimits
    addresses: dict[PeerId, str | None]
    """the peers that the settings name to train with, with the addresses to dial"""
    allowed: frozenset[PeerId]
    open_to_hints: frozenset[PeerId]
    """the allowed peers that may be dialed where others say they are: none whose address the settings give, and where
    the neighbors are named, those of them only that are to be found on the local network"""

    def open_transport(self, bind: str) -> ZmqTransport:
        """TransportError where the address cannot be bound."""
        listening = () if bind == "none" else (bind,)
        return ZmqTransport.open(self.keys, listening, self.allowed.__contains__, self.limits)


def prepare(settings: Settings) -> Preparation:
    """Read the key and the data, and make the problem; the P2pnetError of the first that is not fit to run."""
    network = settings.network
    keys = load_keys(settings.security.secret_key)
    addresses = _named_peers(network)
    _check_peers(network, addresses, keys)
    train, test = load_data(settings.data)
    problem = make_problem(settings.model, settings.objective, train)
    params = problem.first_params().astype(np.float64, copy=False)
    allowed = frozenset({*addresses, *(seed.public_key for seed in network.seeds), *settings.security.allowed_peers})
    return Preparation(
        keys=keys,
        train=train,
        test=test,
        problem=problem,
        learner=_learner(problem, settings.algorithm, train, problem.metric(test)),
        params=params,
        fingerprint=fingerprint(problem, settings, train),
        limits=_limits(network, params.size),
        addresses=addresses,
        allowed=allowed,
        open_to_hints=_open_to_hints(network, allowed) - {keys.public},
    )


def _learner(
    problem: Problem, settings: AlgorithmSettings, train: Samples, test_metric: Callable[..., float]
) -> NextLearner:
    optimizer = make_optimizer(problem, settings, train, worker_map(settings.workers))
    return NextLearner(optimizer, test_metric, Weighting(settings.weighting))


def round_settings(settings: Settings) -> RoundSettings:
    """The settings of the round machine."""
    network, algorithm = settings.network, settings.algorithm
    return RoundSettings(
        max_rounds=algorithm.rounds,
        exchanges=algorithm.exchanges,
        is_gradient_first=algorithm.gradient_order == "before-mixing",
        n_signs=N_SIGNS if algorithm.weighting == "paper" else 0,
        expected_neighbors=len(network.neighbors) or 1,
        max_neighbors=max(network.max_neighbors, len(network.neighbors)),
        max_diameter=network.max_diameter,
        tolerance=algorithm.tolerance,
        timing=Timing(
            round_timeout_s=network.round_timeout_s,
            round_pace_s=network.round_pace_s,
            start_timeout_s=network.start_timeout_s,
            finish_timeout_s=network.finish_timeout_s,
        ),
    )


def _named_peers(network: NetworkSettings) -> dict[PeerId, str | None]:
    """The neighbors, or the seeds where no neighbors are named."""
    if network.neighbors:
        return {neighbor.public_key: neighbor.address for neighbor in network.neighbors}
    return {seed.public_key: seed.address for seed in network.seeds}


def _open_to_hints(network: NetworkSettings, allowed: frozenset[PeerId]) -> frozenset[PeerId]:
    if not network.neighbors:
        return allowed - {seed.public_key for seed in network.seeds}
    if network.discovery == "none":
        return frozenset()
    return frozenset(neighbor.public_key for neighbor in network.neighbors if neighbor.address is None)


def _check_peers(network: NetworkSettings, addresses: dict[PeerId, str | None], keys: KeyPair) -> None:
    kind = "neighbors" if network.neighbors else "seeds"
    if keys.public in addresses:
        raise ConfigError(f"network.{kind}: {keys.public} is this agent's own key; give that of the other agent")
    if network.bind == "none" and network.discovery == "none" and not addresses:
        raise ConfigError("network.bind = none: nobody can dial this agent; name a seed or a neighbor for it to dial")


def _limits(network: NetworkSettings, n_params: int) -> TransportLimits:
    """Nothing larger than a share of this very model is ever taken in."""
    largest = ARRAYS_IN_A_MESSAGE * _BYTES_OF_A_NUMBER * (n_params + 2) + MAX_HEADER_BYTES
    if largest > network.max_message_bytes:
        raise ConfigError(
            f"network.max_message_bytes = {network.max_message_bytes}: a share of this model of {n_params} parameters "
            f"takes up to {largest} bytes; allow that much, or choose a smaller model"
        )
    return TransportLimits(max_frames=1 + ARRAYS_IN_A_MESSAGE, max_message_bytes=largest)
