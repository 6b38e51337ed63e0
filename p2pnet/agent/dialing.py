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
        """where the local network says that peers are"""
        self._told: dict[PeerId, str] = {}
        """where the machine has wanted those that are dialed now to be dialed"""

    def take_found(self) -> list[LanAgent]:
        """The peers found since the last call; those that are being dialed are dialed there from now on."""
        agents = [agent for agent in self._discovery.take() if agent.peer in self._open_to_hints]
        for agent in agents:
            self._found[agent.peer] = agent.addresses
            if agent.peer in self._told:
                self.dial(agent.peer, self._told[agent.peer])
        return agents

    def without_bad_hints(self, peers: Peers) -> Peers:
        """The message, rid of agents that are not to be dialed at a neighbor's word, and of what is no address."""
        hints = peers.addresses.items()
        return Peers({peer: where for peer, where in hints if peer in self._open_to_hints and _is_address(where)})

    def dial(self, peer: PeerId, address: str) -> None:
        """Dial there, and first wherever the peer has been found: a neighbor may know it by a name that says nothing
        here.
        """
        self._told[peer] = address
        self._transport.dial(peer, *dict.fromkeys([*self._found.get(peer, ()), address]))

    def hang_up(self, peer: PeerId) -> None:
        """Dial the peer no more, and close the connection."""
        self._told.pop(peer, None)
        self._transport.hang_up(peer)


def _is_address(text: str) -> bool:
    try:
        Address.parse(text)
    except TransportError:
        return False
    return True
