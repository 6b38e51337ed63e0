"""The conservation oracle: an account of the network's mass that is independent of the agents' ledgers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import numpy as np

from p2pnet.protocol.core.effects import Effect, Evaluate, Send
from p2pnet.protocol.core.events import Evaluated
from p2pnet.protocol.core.types import Array, LinkId, PeerId
from p2pnet.protocol.links.coding import Replica
from p2pnet.protocol.links.conservation import AgentLedger, total
from p2pnet.protocol.links.curvature import read_share
from p2pnet.protocol.links.tracker import signs_of
from p2pnet.protocol.messages.training import Share
from p2pnet.protocol.node import NodeEvent
from p2pnet.simulation.observer import Observer

N_TOTALS_KEPT = 16
"""Totals kept for each link end: no receiver is further behind, since fewer shares may be unacknowledged."""


@final
class ConservationOracle(Observer):
    """Computes the mass that must be in the network from the gradients that agents evaluate and the shares that they
    send.
    """

    def __init__(self, n_signs: int = 0) -> None:
        """`n_signs` is the number of random signs averaged with the gradients."""
        self._own: dict[PeerId, Array] = {}
        self._n_params: dict[PeerId, int] = {}
        self._n_curvature: dict[PeerId, int] = {}
        self._n_signs = n_signs
        self._said: dict[tuple[PeerId, LinkId], dict[int, Array]] = {}
        self._told: dict[tuple[PeerId, LinkId], dict[int, Replica]] = {}
        """The same with the parameters, where later shares may be made from it."""

    def started(self, now: float, peer: PeerId) -> None:
        """Reset a started agent: its own vector is 0 until it has evaluated a gradient."""
        self._own.pop(peer, None)

    def happened(self, now: float, peer: PeerId, event: NodeEvent) -> None:
        if isinstance(event, Evaluated):
            signs = signs_of(peer, self._n_signs)
            self._own[peer] = np.concatenate([event.gradient_sum, signs, [event.n_samples, 1.0], event.curvature])
            self._n_curvature[peer] = len(event.curvature)

    def wanted(self, now: float, peer: PeerId, effect: Effect) -> None:
        if isinstance(effect, Evaluate):
            self._n_params[peer] = len(effect.params)
        # Shares of the statistics stage come before the agent's first gradient, and are no part of this account.
        if isinstance(effect, Send) and isinstance(effect.message, Share) and peer in self._own:
            self._see_share(peer, effect.peer, effect.message)

    def _see_share(self, sender: PeerId, receiver: PeerId, share: Share) -> None:
        said = self._said.setdefault((sender, share.link_id), {})
        if share.sequence in said:
            return  # the same, byte for byte: what it was made from may be kept no longer
        told = self._told.setdefault((sender, share.link_id), {})
        heard = self._told.get((receiver, share.link_id.mirrored()), {})
        n_sums = len(self._own[sender]) - self._n_curvature[sender]
        nothing = Replica(np.zeros(n_sums), np.zeros(self._n_params[sender]))
        base = told[share.base] if share.base else nothing
        replica = read_share(share, base, heard.get(share.acknowledged))
        said[share.sequence] = np.append(replica.total, replica.curvature.total)
        if share.precision < 64:
            told[share.sequence] = replica
        for kept in (said, told):
            kept.pop(share.sequence - N_TOTALS_KEPT, None)

    def error(self, ledgers: Iterable[AgentLedger]) -> float:
        """The relative conservation error, valid at any time, with shares in flight and half-open links:

            (‖Σ_k y_k + in flight − Σ_k x_k‖ + Σ_ends (‖sent − said‖ + ‖received − said there‖)) / Σ_k ‖x_k‖.

        In flight is, for each end of a link, the total in its last share less the total that the other end has
        received. A ledger may have received nothing, or the total of any share that was sent to it over the link; it is
        compared with the nearest of these.
        """
        ledgers = [ledger for ledger in ledgers if ledger.agent in self._own]
        error = 0.0
        balance: Array = np.zeros(1)
        ends = set()
        for ledger in ledgers:
            balance = total([balance, ledger.mass, -self._own[ledger.agent]])
            for link in ledger.links:
                ends.add((ledger.agent, link.link_id))
                ends.add((link.peer, link.link_id.mirrored()))
                said = self._said.get((ledger.agent, link.link_id), {})
                heard = self._said.get((link.peer, link.link_id.mirrored()), {})
                given = said[max(said)] if said else np.zeros_like(link.sent)
                possible = [np.zeros_like(link.received), *heard.values()]
                if link.is_net:
                    moved = total([link.received, given])
                    received = min(possible, key=lambda said_there: float(np.linalg.norm(total([moved, -said_there]))))
                    error += float(np.linalg.norm(total([moved, -received])))
                    balance = total([balance, given, -received])
                    continue
                error += float(np.linalg.norm(total([link.sent, -given])))
                error += min(float(np.linalg.norm(total([link.received, -said_there]))) for said_there in possible)
                balance = total([balance, given, -link.received])
        self._said = {end: said for end, said in self._said.items() if end in ends}
        self._told = {end: told for end, told in self._told.items() if end in ends}
        size = sum(float(np.linalg.norm(self._own[ledger.agent])) for ledger in ledgers)
        return (error + float(np.linalg.norm(balance))) / size if ledgers else 0.0
