"""What an agent runs with, made from its settings; whatever in them does not go together is refused here."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from random import SystemRandom

from p2pnet.agent.names import PeerNames
from p2pnet.agent.schedules import describe_schedule, make_mixing
from p2pnet.agent.transport.base import Transport, TransportLimits
from p2pnet.agent.transport.discovery import Discovery, LanDiscovery, NoDiscovery, announcement
from p2pnet.agent.transport.keys import KeyPair, load_keys
from p2pnet.agent.transport.zmq_transport import ZmqTransport
from p2pnet.config import NetworkSettings, Settings
from p2pnet.data.reading import load_data
from p2pnet.data.samples import Samples
from p2pnet.errors import ConfigError
from p2pnet.protocol.core.codec import MAX_HEADER_BYTES
from p2pnet.protocol.core.types import FeatureStatistics, PeerId, Randomness
from p2pnet.protocol.links.tracker import N_SIGNS
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import PRESETS as MEMBERSHIP_PRESETS
from p2pnet.protocol.messages.membership import MemberState, Record
from p2pnet.protocol.node import Node
from p2pnet.protocol.peering.overlay_peering import OverlayPeering
from p2pnet.protocol.peering.peering import Peering
from p2pnet.protocol.peering.static_peering import StaticPeering
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session
from p2pnet.protocol.rounds.timing import PRESETS
from p2pnet.training.training import Training, make_training, most_params, summarize, survey_alone

ARRAYS_IN_A_MESSAGE = 2
_BYTES_OF_A_NUMBER = 8

SETTLING_S = 3.0
"""Agents that are started together come within this time of each other, and find each other through seeds."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """One agent before it has touched anything but its own files."""

    settings: Settings
    keys: KeyPair
    train: Samples
    test: Samples
    summary: LocalStatistics | None
    """what goes into the survey; None where none is made"""
    fingerprint: dict[str, str]
    """what is known before the survey"""
    limits: TransportLimits
    addresses: dict[PeerId, str | None]
    """the peers that the settings name to train with, with the addresses to dial"""
    allowed: frozenset[PeerId]

    @property
    def settling_s(self) -> float:
        """How long nobody new must have come before the survey ends: nobody does where all neighbors are named."""
        return 0.0 if self.settings.network.neighbors else SETTLING_S

    def training(self, survey: FeatureStatistics | None) -> Training:
        """What is trained, by what the survey has found; DataError where that is not possible."""
        training = make_training(self.settings, self.train, self.test, survey)
        schedule = describe_schedule(self.settings.network, self.keys.public)
        return replace(training, fingerprint=training.fingerprint | schedule)

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
    summary = summarize(settings, train, test)
    first = make_training(settings, train, test, survey_alone(summary))
    allowed = frozenset({*addresses, *(seed.public_key for seed in network.seeds), *settings.security.allowed_peers})
    return Preparation(
        settings=settings,
        keys=keys,
        train=train,
        test=test,
        summary=summary,
        fingerprint=first.early_fingerprint | describe_schedule(network, keys.public),
        limits=_limits(network, first.params.size, most_params(settings, train, summary)),
        addresses=addresses,
        allowed=allowed,
    )


def round_options(settings: Settings, me: PeerId) -> RoundOptions:
    """The options of the round machine of the agent with this key."""
    network, algorithm = settings.network, settings.algorithm
    return RoundOptions(
        max_rounds=algorithm.rounds,
        exchanges=algorithm.exchanges,
        is_gradient_first=algorithm.gradient_order == "before-mixing",
        n_signs=N_SIGNS if algorithm.weighting == "paper" else 0,
        expected_neighbors=len(network.neighbors) or 1,
        max_diameter=network.max_diameter,
        tolerance=algorithm.tolerance,
        names=PeerNames.of(network).given,
        precision=network.wire_bits(algorithm.tolerance),
        mixing=make_mixing(network, me),
        # What flowed in the round before came from somebody else where partners change.
        momentum=None if network.schedule == "all" else 0.0,
        timing=replace(
            PRESETS[network.preset],
            round_timeout_s=network.round_timeout_s,
            round_pace_s=network.round_pace_s,
            start_timeout_s=network.start_timeout_s,
            finish_timeout_s=network.finish_timeout_s,
        ),
    )


def make_node(preparation: Preparation, incarnation: int) -> Node:
    """All decisions of the agent in this life: its session, and its peering as the settings name neighbors or not."""
    settings, keys = preparation.settings, preparation.keys
    identity = Identity(
        peer=keys.public,
        name=settings.agent.name,
        incarnation=incarnation,
        fingerprint=preparation.fingerprint,
        address=settings.network.advertised_address or "",
    )
    options = round_options(settings, keys.public)
    session = Session(identity, options, preparation.summary, preparation.settling_s)
    rng = SystemRandom()
    return Node(session, _make_peering(settings.network, preparation.allowed, identity, rng), rng)


def make_discovery(preparation: Preparation, transport: Transport, log: logging.Logger) -> Discovery:
    """How the agent finds others on the local network, and is found."""
    settings = preparation.settings
    if settings.network.discovery == "none":
        return NoDiscovery()
    name, advertise = settings.agent.name, settings.network.advertise
    told = announcement(preparation.keys.public, name, preparation.fingerprint, advertise)
    bind = next(iter(transport.addresses), "none")
    is_welcome = preparation.allowed.__contains__
    return LanDiscovery(None if bind == "none" else told, bind, is_welcome, transport.wake, log)


def _make_peering(
    network: NetworkSettings, allowed: Collection[PeerId], identity: Identity, rng: Randomness
) -> Peering:
    """The neighbors that the settings name, or where none are named, those chosen by gossip, beginning with seeds."""
    if network.neighbors:
        addresses = {neighbor.public_key: neighbor.address for neighbor in network.neighbors}
        return StaticPeering(addresses, network.max_neighbors, is_discovering=network.discovery != "none")
    me = Record(identity.peer, MemberState.ALIVE, identity.incarnation, identity.address, identity.name)
    seeds = {seed.public_key: seed.address for seed in network.seeds}
    timing = MEMBERSHIP_PRESETS[network.preset]
    membership = MembershipMachine(me, seeds, allowed.__contains__, network.max_neighbors, timing, rng)
    return OverlayPeering(membership, seeds)


def _named_peers(network: NetworkSettings) -> dict[PeerId, str | None]:
    """The neighbors, or the seeds where no neighbors are named."""
    if network.neighbors:
        return {neighbor.public_key: neighbor.address for neighbor in network.neighbors}
    return {seed.public_key: seed.address for seed in network.seeds}


def _check_peers(network: NetworkSettings, addresses: dict[PeerId, str | None], keys: KeyPair) -> None:
    kind = "neighbors" if network.neighbors else "seeds"
    if keys.public in addresses:
        raise ConfigError(f"network.{kind}: {keys.public} is this agent's own key; give that of the other agent")
    if network.bind == "none" and network.discovery == "none" and not addresses:
        raise ConfigError("network.bind = none: nobody can dial this agent; name a seed or a neighbor for it to dial")


def _limits(network: NetworkSettings, n_params: int, most_params: int) -> TransportLimits:
    """Nothing larger than a share of this very model is ever taken in, or of the largest that it may turn out to be."""
    if _n_bytes(n_params) > network.max_message_bytes:
        raise ConfigError(
            f"network.max_message_bytes = {network.max_message_bytes}: a share of this model of {n_params} parameters "
            f"takes up to {_n_bytes(n_params)} bytes; allow that much, or choose a smaller model"
        )
    largest = min(_n_bytes(most_params), network.max_message_bytes)
    return TransportLimits(max_frames=1 + ARRAYS_IN_A_MESSAGE, max_message_bytes=largest)


def _n_bytes(n_params: int) -> int:
    return ARRAYS_IN_A_MESSAGE * _BYTES_OF_A_NUMBER * (n_params + 2) + MAX_HEADER_BYTES
