"""Whom this agent dials, and where: which hints are followed, and where peers have been found."""

from __future__ import annotations

from collections.abc import Collection
from typing import final

from p2pnet.agent.discovery import Discovery, LanAgent
from p2pnet.agent.transport import Address, PeerId, Transport
from p2pnet.consensus.messages import Peers
from p2pnet.errors import TransportError


@final
class Dialing:
    """The addresses beyond those that the settings give."""

    def __init__(self, transport: Transport, discovery: Discovery, open_to_hints: Collection[PeerId]) -> None:
        """`open_to_hints` are the peers that may be dialed where others say that they are."""
        self._transport = transport
        self._discovery = discovery
        self._open_to_hints = open_to_hints
        self._found: dict[PeerId, tuple[str, ...]] = {}
        self._dialed_where_found: set[PeerId] = set()

    def take_found(self) -> list[LanAgent]:
        """The peers found since the last call; those that are dialed where they were found are dialed anew."""
        agents = [agent for agent in self._discovery.take() if agent.peer in self._open_to_hints]
        for agent in agents:
            self._found[agent.peer] = agent.addresses
            if agent.peer in self._dialed_where_found:
                self._transport.dial(agent.peer, *agent.addresses)
        return agents

    def without_bad_hints(self, peers: Peers) -> Peers:
        """The message, rid of agents that are not to be dialed at a neighbor's word, and of what is no address."""
        hints = peers.addresses.items()
        return Peers({peer: where for peer, where in hints if peer in self._open_to_hints and _is_address(where)})

    def dial(self, peer: PeerId, address: str) -> None:
        """Dial there, or rather wherever the peer has been found."""
        if peer in self._found:
            self._dialed_where_found.add(peer)
        self._transport.dial(peer, *self._found.get(peer, (address,)))

    def hang_up(self, peer: PeerId) -> None:
        """Dial the peer no more, and close the connection."""
        self._dialed_where_found.discard(peer)
        self._transport.hang_up(peer)


def _is_address(text: str) -> bool:
    try:
        Address.parse(text)
    except TransportError:
        return False
    return True
