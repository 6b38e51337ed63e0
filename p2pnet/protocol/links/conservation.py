"""The conservation audit: compares the ledgers of all agents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from p2pnet.protocol.core.types import Array, LinkId, PeerId


@dataclass(frozen=True, slots=True)
class LinkLedger:
    """The mass that one end of a link has sent and received in all."""

    peer: PeerId
    link_id: LinkId
    sent: Array = field(repr=False)
    received: Array = field(repr=False)
    mask: Array | None = field(default=None, repr=False)
    """What is received from the beginning (`masks.py`), and sent at the other end; None for nothing."""
    is_net: bool = False
    """Whether all that is known is the balance, given as received (`balance_ledger.py`)."""


@dataclass(frozen=True, slots=True)
class AgentLedger:
    """One agent's own vector x, the mass y present, and its link ledgers.

    All vectors are (n_params + 2,), and longer by curvature where there is any (`curvature.py`).
    """

    agent: PeerId
    own: Array = field(repr=False)
    """x: gradient sum, samples, weight"""
    mass: Array = field(repr=False)
    """y: what is present of the network's sum"""
    links: tuple[LinkLedger, ...] = field(repr=False)


def total(vectors: Iterable[Array]) -> Array:
    """The sum of vectors, those that are shorter than others being zero at the end."""
    kept = list(vectors)
    found: Array = np.zeros(max(map(len, kept), default=0))
    for vector in kept:
        found[: len(vector)] += vector
    return found


def conservation_error(ledgers: Sequence[AgentLedger]) -> float:
    """The relative conservation error (‖Σ_k y_k − Σ_k x_k‖ + Σ_links ‖sent − received at the other end‖) / Σ_k ‖x_k‖.

    A mask counts as received at one end, and as sent at the other. It holds for agents that have no share in flight
    between them. Both terms are needed: a total applied wrongly shows at the link's two ends, a tracker not computed
    from its ledger shows in the sum. A link that only one end still has counts in full: its other end has died or has
    closed it, and this one should have too.
    """
    ends = {(ledger.agent, link.peer, link.link_id): link for ledger in ledgers for link in ledger.links}
    size = sum(float(np.linalg.norm(ledger.own)) for ledger in ledgers)
    error = float(np.linalg.norm(total([*(ledger.mass for ledger in ledgers), *(-ledger.own for ledger in ledgers)])))
    for (agent, peer, link_id), link in ends.items():
        other = ends.get((peer, agent, link_id.mirrored()))
        if other is None:
            error += float(np.linalg.norm(link.sent) + np.linalg.norm(link.received))
        else:
            masks = [mask for mask in (link.mask, other.mask) if mask is not None]
            if link.is_net or other.is_net:
                moved = [link.received, other.received, -link.sent, -other.sent]
                error += float(np.linalg.norm(total(moved))) / 2  # once for both ends
            else:
                error += float(np.linalg.norm(total([link.sent, -other.received])))
            error += float(np.linalg.norm(sum(masks, np.zeros(1)))) / 2  # once for both ends
    return error / size
