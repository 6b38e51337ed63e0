"""Whether anything was lost: the books of all agents held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from p2pnet.protocol.core.types import Array, LinkId, PeerId


@dataclass(frozen=True, slots=True)
class LinkLedger:
    """One end of one link."""

    peer: PeerId
    link_id: LinkId
    sent: Array = field(repr=False)
    received: Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class AgentLedger:
    """What one agent owns, holds, and has moved over its links; all vectors are (n_params + 2,)."""

    agent: PeerId
    own: Array = field(repr=False)
    """x: gradient sum, samples, weight"""
    mass: Array = field(repr=False)
    """y: what is present of the network's sum"""
    links: tuple[LinkLedger, ...] = field(repr=False)


def conservation_error(books: Sequence[AgentLedger]) -> float:
    """(‖Σ_k y_k − Σ_k x_k‖ + Σ_links ‖sent − received at the other end‖) / Σ_k ‖x_k‖

    for agents that have nothing under way between them. Nothing less than both terms will do: a total applied wrongly
    shows at the link's two ends, a tracker not computed from its books shows in the sum. A link that only one end
    still has counts in full: its other end has died or has closed it, and this one should have too.
    """
    ends = {(book.agent, link.peer, link.link_id): link for book in books for link in book.links}
    size = sum(float(np.linalg.norm(book.own)) for book in books)
    error = float(np.linalg.norm(sum(book.mass - book.own for book in books)))
    for (agent, peer, link_id), link in ends.items():
        other = ends.get((peer, agent, link_id.mirrored()))
        if other is None:
            error += float(np.linalg.norm(link.sent) + np.linalg.norm(link.received))
        else:
            error += float(np.linalg.norm(link.sent - other.received))
    return error / size
