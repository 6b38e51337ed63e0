"""Links of which all vectors have the same number in every entry, and their shares."""

import numpy as np

from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, Nonce
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Share

SIZE, N_PARAMS = 4, 2


def new_link(precision: int = 64, account: int = 0) -> Link:
    return Link(LinkId(Nonce(1, 1), Nonce(1, 2)), SIZE, N_PARAMS, precision, ResendTimer(0.2, 1.0), account=account)


def give(link: Link, round_: int = 0, mass: float = 1.0) -> Share:
    """The share of a round, with the same mass in every entry."""
    return give_vectors(link, np.full(SIZE, mass), np.zeros(N_PARAMS), round_)


def give_vectors(link: Link, mass: Array, params: Array, round_: int) -> Share:
    acknowledged = link.newest_received
    base, total, of_params = link.give(mass, params, round_)
    return Share(
        link_id=link.link_id,
        sequence=link.sequence,
        acknowledged=acknowledged,
        base=base,
        precision=link.precision,
        round=round_,
        next_degree=1,
        proximal_weight=0.0,
        first_residual=0.0,
        quiet=0,
        stop_round=-1,
        is_held=False,
        total=total,
        params=of_params,
    )


def send(link: Link, now: float = 0.0, round_: int = 0) -> Share:
    share = give(link, round_)
    link.keep(share, now)
    return share


def shares(precision: int, *rounds: int) -> list[Share]:
    """Shares of one sender, in their order."""
    sender = new_link(precision)
    return [give(sender, round_) for round_ in rounds]


def received(link: Link) -> float:
    """The one number that all entries of the received total have."""
    (value,) = set(link.received.tolist())
    return float(value)
