"""Answers the queries of peers: how this agent is, and, in a network that admits by records, whether it admits one."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from p2pnet import __version__
from p2pnet.agent.diagnostics.status import QUESTION, NodeStatus, encode_status
from p2pnet.agent.names import PeerNames
from p2pnet.agent.transport.base import Frame
from p2pnet.errors import TrainingError
from p2pnet.protocol.core.codec import LOWEST_VERSION, PROTOCOL_VERSION
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.node import Node

if TYPE_CHECKING:
    from p2pnet.agent.trust.doorkeeper import Doorkeeper


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """What a query is answered with."""

    frames: Sequence[Frame]
    text: str
    """for the log"""
    signed: tuple[bytes, ...] = ()
    """records that were signed for it"""


@final
class Queries:
    """Answers queries for one node."""

    def __init__(self, node: Node, names: PeerNames, doorkeeper: Doorkeeper | None = None) -> None:
        self._node = node
        self._names = names
        self._doorkeeper = doorkeeper

    def answer(self, peer: PeerId, frames: Sequence[Frame]) -> Answer:
        """Answer a peer that is allowed, or that holds an invitation of this agent."""
        door = self._doorkeeper
        if door is not None and (door.knows(peer) or [bytes(frame) for frame in frames] != [*QUESTION]):
            ruling = door.answer(peer, frames)
            return Answer(ruling.answer, ruling.text, ruling.signed)
        return Answer(encode_status(self._status(peer)), f"{self._names.call(peer)} asks for our status")

    def new_records(self) -> Sequence[bytes]:
        """The records that another process has put on this machine's disk."""
        return () if self._doorkeeper is None else self._doorkeeper.new_records()

    def keep(self, records: Sequence[bytes], log: logging.Logger) -> None:
        """Put records on disk that are not there; a warning where it takes nothing."""
        if self._doorkeeper is None:
            return
        try:
            self._doorkeeper.keep(records)
        except TrainingError as error:
            log.warning("%s; the newest records of the network are lost with this process", error)

    def _status(self, peer: PeerId) -> NodeStatus:
        """The answer to a status query of the peer."""
        identity, rounds = self._node.identity, self._node.rounds
        return NodeStatus(
            protocol=PROTOCOL_VERSION,
            name=identity.name,
            software=__version__,
            fingerprint=identity.fingerprint,
            round=-1 if rounds is None else rounds.announced_round,
            known_incarnation=self._node.known_incarnation(peer),
            time_s=time.time(),
            lowest_protocol=LOWEST_VERSION,
        )
