"""An account of the mass in the network that does not trust any agent's ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import numpy as np

from p2pnet.protocol.core.effects import Effect, Send
from p2pnet.protocol.core.events import Evaluated
from p2pnet.protocol.core.types import Array, LinkId, PeerId
from p2pnet.protocol.links.conservation import AgentLedger
from p2pnet.protocol.links.tracker import signs_of
from p2pnet.protocol.messages.training import Share
from p2pnet.protocol.node import NodeEvent
from p2pnet.simulation.observer import Observer

N_TOTALS_KEPT = 16
"""Of each link end; nobody can be further behind, for no more shares than that may be unacknowledged."""


@final
class ConservationOracle(Observer):
    """Reads every gradient that goes into an agent and every share that comes out, and knows from these alone how much
    mass there must be.
    """

    def __init__(self, n_signs: int = 0) -> None:
        """`n_signs` is what the agents average beside their gradients, to tell how many they are."""
        self._n_signs = n_signs
        self._own: dict[PeerId, Array] = {}
        self._said: dict[tuple[PeerId, LinkId], dict[int, Array]] = {}

    def started(self, now: float, peer: PeerId) -> None:
        """The agent begins anew, and owns nothing until it has a gradient."""
        self._own.pop(peer, None)

    def happened(self, now: float, peer: PeerId, event: NodeEvent) -> None:
        if isinstance(event, Evaluated):
            signs = signs_of(peer, self._n_signs)
            self._own[peer] = np.concatenate([event.gradient_sum, signs, [event.n_samples, 1.0]])

    def wanted(self, now: float, peer: PeerId, effect: Effect) -> None:
        # Shares of the statistics stage come before the agent's first gradient, and are no part of this account.
        if isinstance(effect, Send) and isinstance(effect.message, Share) and peer in self._own:
            self._see_share(peer, effect.message)

    def _see_share(self, sender: PeerId, share: Share) -> None:
        said = self._said.setdefault((sender, share.link_id), {})
        said[share.sequence] = said[share.base] + share.total if share.base else share.total.astype(np.float64)
        said.pop(share.sequence - N_TOTALS_KEPT, None)

    def error(self, books: Iterable[AgentLedger]) -> float:
        """(‖Σ_k y_k + in flight − Σ_k x_k‖ + Σ_ends (‖sent − said‖ + ‖received − what the other end said‖)) / Σ_k ‖x_k‖

        at any moment, whatever is under way and whichever links only one end still knows of. In flight is, for every
        end of a link, what it said it gave, less what it has received. An agent may have received nothing, or the total
        of any share that was sent to it over the link; the nearest of these is held against its books.
        """
        books = [book for book in books if book.agent in self._own]
        error = 0.0
        balance: Array = np.zeros(1)
        ends = set()
        for book in books:
            balance = balance + book.mass - self._own[book.agent]
            for link in book.links:
                ends.add((book.agent, link.link_id))
                ends.add((link.peer, link.link_id.mirrored()))
                said = self._said.get((book.agent, link.link_id), {})
                heard = self._said.get((link.peer, link.link_id.mirrored()), {})
                given = said[max(said)] if said else np.zeros_like(link.sent)
                possible = [np.zeros_like(link.received), *heard.values()]
                error += float(np.linalg.norm(link.sent - given))
                error += min(float(np.linalg.norm(link.received - total)) for total in possible)
                balance = balance + given - link.received
        self._said = {end: said for end, said in self._said.items() if end in ends}
        size = sum(float(np.linalg.norm(self._own[book.agent])) for book in books)
        return (error + float(np.linalg.norm(balance))) / size if books else 0.0
