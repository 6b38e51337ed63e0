"""Witnesses: what agents that have not begun tell each other of neighbors that train already.

Where several neighbors of each other come back at once, each of them may have one neighbor only that trains, whose word
alone counts little: it may lie, and no agent may have begun. So they pass on what they have heard, with the path that
it has come. Each receiver knows the last agent on the path, whose key it has verified, and adds it. Two words whose
paths have no agent in common are of two agents: one liar is on every path that its lies have come (Dolev 1982).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import final

from p2pnet.protocol.core.effects import Send
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import MAX_PATH, WITNESSES, StateReply, Witness
from p2pnet.protocol.rounds.neighbor import Neighbor

MAX_WITNESSES = 16
"""Words kept, and passed on to each neighbor."""


@final
class Witnesses:
    """The words that one agent has heard, and those that it has passed on."""

    def __init__(self, me: PeerId) -> None:
        self._me = me
        self._heard: list[Witness] = []
        """Each with its whole path, up to the neighbor that has passed it on."""
        self._told: dict[PeerId, set[tuple[PeerId, ...]]] = {}

    def hear(self, peer: PeerId, witness: Witness) -> None:
        """Keep what a neighbor passes on, unless it is known, or has been here before."""
        path = (*witness.path, peer)
        is_round_about = self._me in path or len(set(path)) < len(path)
        is_known = any(known.path == path for known in self._heard)
        if not is_round_about and not is_known and len(path) <= MAX_PATH and len(self._heard) < MAX_WITNESSES:
            self._heard.append(Witness(witness.link_id, witness.round, witness.stop_round, path))

    def of_another(self, peer: PeerId) -> Witness | None:
        """A word that has come on a path without this neighbor."""
        return next((witness for witness in self._heard if peer not in witness.path), None)

    def pass_on(
        self, peer: PeerId, state: StateReply | None, listeners: Collection[tuple[Neighbor, Link]]
    ) -> list[Send]:
        """Messages that tell neighbors of the state of one that trains, `peer`, and of all that has been heard; each
        once to each.
        """
        words = list(self._heard)
        if state is not None:
            words.append(Witness(state.link_id, state.round, state.stop_round, (peer,)))
        sent = []
        for neighbor, link in listeners:
            told = self._told.setdefault(neighbor.peer, set())
            for word in words:
                if WITNESSES not in neighbor.capabilities or neighbor.peer in word.path or word.path in told:
                    continue
                if len(told) < MAX_WITNESSES and len(word.path) < MAX_PATH:
                    told.add(word.path)
                    sent.append(Send(neighbor.peer, Witness(link.link_id, word.round, word.stop_round, word.path)))
        return sent
