"""Assembly: builds all parts of an agent from its settings, and refuses settings that do not fit together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

from p2pnet.agent.allow_list import AllowList
from p2pnet.agent.link_secrets import KeyExchange
from p2pnet.agent.network_options import NetworkOptions
from p2pnet.agent.options import data_options, network_options, round_options, schedule_options, training_options
from p2pnet.agent.schedules import describe_schedule
from p2pnet.agent.terms import terms_of
from p2pnet.agent.transport.base import Transport, TransportLimits
from p2pnet.agent.transport.discovery import Discovery, LanDiscovery, NoDiscovery, announcement
from p2pnet.agent.transport.keys import KeyPair, load_keys
from p2pnet.agent.transport.zmq_transport import ZmqTransport
from p2pnet.config import Settings
from p2pnet.data.reading import DataOptions, load_data
from p2pnet.data.splitting import Parts
from p2pnet.errors import ConfigError
from p2pnet.protocol.core.codec import MAX_HEADER_BYTES
from p2pnet.protocol.core.types import FeatureStatistics, PeerId, Randomness
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import PRESETS, MembershipTiming
from p2pnet.protocol.messages.membership import MemberState, Record
from p2pnet.protocol.node import Node
from p2pnet.protocol.peering.overlay_peering import OverlayPeering
from p2pnet.protocol.peering.peering import Peering
from p2pnet.protocol.peering.static_peering import StaticPeering
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session, SessionMachine
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.protocol.rounds.start_quorum import StartQuorum
from p2pnet.protocol.trust.spreading import RecordSpread
from p2pnet.training.options import TrainingOptions
from p2pnet.training.training import Training, make_outline, make_training, summarize

if TYPE_CHECKING:
    from p2pnet.agent.trust.trusted_network import TrustedNetwork

ARRAYS_IN_A_MESSAGE = 2
"""Beside these a share may have the code of curvature."""
_BYTES_OF_A_NUMBER = 8

SETTLING_S = 3.0
"""The time within which agents that are started together find each other through seeds."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """The parts of an agent made from its own files alone."""

    name: str
    keys: KeyPair
    state_dir: Path
    checkpoint_interval_s: float
    network: NetworkOptions
    trusted: TrustedNetwork | None
    """the network that the agent belongs to by its records; None: the settings say who may connect"""
    allow_list: AllowList
    """the keys that may connect: at first those of the options, and of the roster"""
    max_neighbors: int
    min_agents: int
    is_sharing_metrics: bool
    is_masking: bool
    """whether links of the statistics stage are masked"""
    membership: MembershipTiming
    """of an agent whose neighbors are chosen by gossip"""
    rounds: RoundOptions
    of_the_network: dict[str, str]
    """what of schedule and network must be equal at all agents: fields of the fingerprint, or none"""
    training_options: TrainingOptions
    data: DataOptions
    parts: Parts
    summary: LocalStatistics | None
    """the contribution to the statistics stage; None without that stage"""
    fingerprint: dict[str, str]
    """the fields known before the statistics stage"""
    limits: TransportLimits
    watch_interval_s: float
    """how often an agent that keeps running looks whether its samples have changed; 0: it ends with its training"""
    compare_alone_s: float | None
    """processor time for training once more alone, after the end; None: that is not done"""

    @property
    def settling_s(self) -> float:
        """How long no link must have opened before the statistics stage ends; 0 where all neighbors are named."""
        return 0.0 if self.network.neighbors else SETTLING_S

    def training(self, statistics: FeatureStatistics | None) -> Training:
        """Build the training problem by the feature statistics; DataError where the two do not fit."""
        training = make_training(
            self.training_options, self.parts.train, self.parts.test, statistics, self.parts.validation
        )
        return replace(training, fingerprint=training.fingerprint | self.of_the_network)

    def open_transport(self, is_invited: Callable[[PeerId], bool] = lambda _: False) -> ZmqTransport:
        """Open the transport, for allowed peers, and for queries of those that are invited; TransportError where the
        address cannot be bound.
        """
        listening = () if self.network.bind == "none" else (self.network.bind,)
        return ZmqTransport.open(self.keys, listening, self.allow_list.__contains__, self.limits, is_invited)


def prepare(settings: Settings) -> Preparation:
    """Read key and data, and build the problem; raises the P2pnetError of the first part that is not fit to run."""
    keys = load_keys(settings.security.secret_key)
    network = network_options(settings)
    trusted = _trusted_network(settings, keys)
    _check_peers(network, keys)
    data = data_options(settings.data, is_growing=settings.service.keep_running)
    parts = load_data(data)
    options = training_options(settings, parts.train.task)
    summary = summarize(options, *parts)
    outline = make_outline(options, parts.train, summary)
    of_the_network = describe_schedule(schedule_options(settings.network, keys.public))
    if trusted is not None:
        of_the_network |= trusted.fingerprint
    return Preparation(
        name=settings.agent.name,
        keys=keys,
        state_dir=settings.agent.state_dir,
        checkpoint_interval_s=settings.agent.checkpoint_interval_s,
        network=network,
        trusted=trusted,
        allow_list=AllowList(network.allowed, None if trusted is None else trusted.roster),
        max_neighbors=settings.network.max_neighbors,
        min_agents=settings.network.min_agents,
        is_sharing_metrics=settings.privacy.share_metrics,
        is_masking=settings.privacy.mask_statistics,
        membership=PRESETS[settings.network.preset],
        rounds=round_options(settings, keys.public),
        of_the_network=of_the_network,
        training_options=options,
        data=data,
        parts=parts,
        summary=summary,
        fingerprint=outline.fingerprint | of_the_network,
        watch_interval_s=settings.service.watch_interval_s if settings.service.keep_running else 0.0,
        compare_alone_s=settings.algorithm.compare_alone_s,
        limits=_limits(settings.network.max_message_bytes, outline.least_params, outline.most_params),
    )


def make_node(
    preparation: Preparation, incarnation: int, resumed: RoundSnapshot | None, known_members: Mapping[PeerId, str]
) -> Node:
    """Build the node: its session, anew or from where an earlier process stood, and static or overlay peering,
    depending on whether neighbors are named. `known_members` are addresses from earlier runs.
    """
    identity = Identity(
        peer=preparation.keys.public,
        name=preparation.name,
        incarnation=incarnation,
        fingerprint=preparation.fingerprint,
        address=preparation.network.advertised_address or "",
    )
    session: SessionMachine = Session(
        identity,
        preparation.rounds,
        preparation.summary,
        preparation.settling_s,
        resumed,
        KeyExchange(preparation.keys) if preparation.is_masking else None,
    )
    if preparation.min_agents > 1:
        session = StartQuorum(session, preparation.min_agents)
    rng = SystemRandom()
    trusted = preparation.trusted
    spread = None if trusted is None else RecordSpread(trusted.roster, identity.peer)
    peering = _make_peering(preparation, identity, known_members, rng)
    return Node(session, peering, rng, is_reporting=True, spread=spread)


def _trusted_network(settings: Settings, keys: KeyPair) -> TrustedNetwork | None:
    """The network that the settings name, by its records, or none."""
    if settings.security.network is None:
        return None
    from p2pnet.agent.trust.trusted_network import TrustedNetwork  # with cryptography that others do not need

    return TrustedNetwork.load(settings.security.network, keys, terms_of(settings))


def make_discovery(preparation: Preparation, transport: Transport, log: logging.Logger) -> Discovery:
    """Build the discovery on the local network, or none."""
    network = preparation.network
    if not network.is_discovering:
        return NoDiscovery()
    told = announcement(preparation.keys.public, preparation.name, preparation.fingerprint, network.advertise)
    bind = next(iter(transport.addresses), "none")
    is_welcome = preparation.allow_list.__contains__
    return LanDiscovery(None if bind == "none" else told, bind, is_welcome, transport.wake, log, told.network)


def _make_peering(
    preparation: Preparation, identity: Identity, known_members: Mapping[PeerId, str], rng: Randomness
) -> Peering:
    """The neighbors that are named, or where none are named, those chosen by gossip, beginning with seeds and with
    members that were known before.
    """
    network, max_neighbors = preparation.network, preparation.max_neighbors
    if network.neighbors:
        return StaticPeering(network.addresses, max_neighbors, is_discovering=network.is_discovering)
    me = Record(identity.peer, MemberState.ALIVE, identity.incarnation, identity.address, identity.name)
    seeds = {seed.key: seed.address for seed in network.seeds if seed.address is not None}
    is_welcome = preparation.allow_list.__contains__
    known = {peer: address for peer, address in known_members.items() if is_welcome(peer)}
    membership = MembershipMachine(me, known | seeds, is_welcome, max_neighbors, preparation.membership, rng)
    return OverlayPeering(membership, seeds)


def _check_peers(network: NetworkOptions, keys: KeyPair) -> None:
    kind = "neighbors" if network.neighbors else "seeds"
    if keys.public in network.addresses:
        raise ConfigError(f"network.{kind}: {keys.public} is this agent's own key; give that of the other agent")
    if network.bind == "none" and not network.is_discovering and not network.named:
        raise ConfigError("network.bind = none: no peer can dial this agent; name a seed or a neighbor for it to dial")


def _limits(max_message_bytes: int, n_params: int, most_params: int) -> TransportLimits:
    """Nothing larger than a share of this very model is ever taken in, or of the largest that it may turn out to be."""
    if _n_bytes(n_params) > max_message_bytes:
        raise ConfigError(
            f"network.max_message_bytes = {max_message_bytes}: a share of this model of {n_params} parameters "
            f"takes up to {_n_bytes(n_params)} bytes; allow that much, or choose a smaller model"
        )
    largest = min(_n_bytes(most_params), max_message_bytes)
    return TransportLimits(max_frames=1 + ARRAYS_IN_A_MESSAGE + 1, max_message_bytes=largest)


def _n_bytes(n_params: int) -> int:
    return ARRAYS_IN_A_MESSAGE * _BYTES_OF_A_NUMBER * (n_params + 2) + MAX_HEADER_BYTES
