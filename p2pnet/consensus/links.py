"""Conserving links, and the network average that agents track over them.

Each agent k owns a vector x_k = (n_k ∇mean_k, n_k, 1): its gradient sum, its number of samples, and the weight of one
agent. Mass moves over links; each end of a link keeps the total it `sent` to the other and the total it `received`
from it. The tracker is computed from these books, never accumulated:

    y_k = x_k + Σ_links (received − sent)

so that Σ_k y_k + mass in flight = Σ_k x_k whatever is lost, repeated, late or closed. Closing a link at both ends
makes it as if it had never been. In the fault-free case this is the tracking of Di Lorenzo and Scutari (2016,
arXiv 1602.00591, eq. 12), in the form of running sums (Hadjicostis, Vaidya and Domínguez-García 2016).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import numpy as np

from p2pnet.consensus.messages import Array, LinkId, Share
from p2pnet.errors import ProtocolError

MAX_UNACKNOWLEDGED = 2
"""Shares of a link that may be under way unconfirmed: a slow peer never makes a queue of stale models."""

MAX_WAITING = 4
"""Shares of a link kept for later rounds; an honest neighbor can be no further ahead than its window."""

MAX_RESEND_INTERVAL_S = 8.0


@final
class Link:
    """One end's books of one link."""

    def __init__(self, link_id: LinkId, size: int) -> None:
        self.link_id = link_id
        self.sent: Array = np.zeros(size)
        self.received: Array = np.zeros(size)
        self.sequence = 0
        self.acknowledged = 0
        self.newest_received = 0
        self.newest: Share | None = None
        """The last share sent, for sending again byte for byte."""
        self.waiting: list[Share] = []
        """Shares that came and are not yet applied, oldest first."""
        self.mass_flow: Array | None = None
        """The mass given in the last round, None where it was not a whole one."""
        self.params_flow: Array | None = None
        """What the neighbor's parameters moved ours by in the last round, likewise."""
        self.resend_at: float | None = None
        """When the newest share is to be sent again, unless an acknowledgement comes first."""
        self._resend_interval_s = 0.0

    @property
    def is_window_open(self) -> bool:
        return self.sequence - self.acknowledged < MAX_UNACKNOWLEDGED

    @property
    def is_settled(self) -> bool:
        """Whether the other end has confirmed everything sent."""
        return self.acknowledged == self.sequence

    def give(self, mass: Array) -> Array:
        """Enter `mass` as sent under the next sequence number; the new total, to be put in the share."""
        self.sequence += 1
        self.sent = self.sent + mass
        return self.sent

    def accept(self, share: Share) -> bool:
        """Keep a share until its round is mixed; False for one that came before."""
        if share.sequence <= self.newest_received:
            return False
        if share.total.shape != self.received.shape:
            raise ProtocolError(
                f"Share.total: {share.total.size} numbers instead of {self.received.size}; "
                "the sender trains a model of another size"
            )
        self.newest_received = share.sequence
        self.waiting = [*self.waiting, share][-MAX_WAITING:]
        return True

    def acknowledge(self, sequence: int) -> None:
        if self.acknowledged < sequence <= self.sequence:
            self.acknowledged = sequence
            self.resend_at = None

    def start_resend_timer(self, now: float, interval_s: float) -> None:
        """Begin to wait for an acknowledgement, unless one is waited for already or nothing is left to confirm."""
        if self.resend_at is None and not self.is_settled:
            self._resend_interval_s = interval_s
            self.resend_at = now + interval_s

    def resend(self, now: float) -> Share | None:
        """The newest share, if it is time to send it again; the wait for the next time is twice as long."""
        if self.resend_at is None or now < self.resend_at:
            return None
        self._resend_interval_s = min(2 * self._resend_interval_s, MAX_RESEND_INTERVAL_S)
        self.resend_at = now + self._resend_interval_s
        return self.newest

    def apply(self, up_to_round: int) -> Share | None:
        """Enter the shares of rounds up to `up_to_round` as received; the newest of them, or None."""
        due = [share for share in self.waiting if share.round <= up_to_round]
        if not due:
            return None
        self.waiting = [share for share in self.waiting if share.round > up_to_round]
        self.received = due[-1].total
        return due[-1]

    @property
    def newest_round_received(self) -> int:
        return self.waiting[-1].round if self.waiting else -1


@final
class Tracker:
    """The running estimate of the network's mean gradient and mean number of samples."""

    def __init__(self, n_params: int) -> None:
        self._own: Array = np.zeros(n_params + 2)
        self._estimate: Array | None = None

    @property
    def own(self) -> Array:
        """x, (n_params + 2,): the agent's own term of the network's sum."""
        return self._own

    def replace_own(self, gradient_sum: Array, n_samples: float) -> None:
        self._own = np.concatenate([gradient_sum, [n_samples, 1.0]])

    def mass(self, links: Iterable[Link]) -> Array:
        """The mass present, y = x + Σ (received − sent), (n_params + 2,).

        Links in a fixed order give the same rounding every time.
        """
        mass = self._own.copy()
        for link in links:
            mass += link.received
            mass -= link.sent
        return mass

    def update(self, links: Iterable[Link]) -> None:
        """Renew the estimate from the mass y present, whose last entry is the weight p:

            ŷ = y / p  where p ≥ 1,  else  y + (1 − p) ŷ_previous.

        Loss and unequal speeds leave an agent with less or more than its fair mass. Dividing by a small weight would
        amplify noise without bound; filling up with the previous estimate has the same fixed point and does not.
        """
        mass = self.mass(links)
        weight = mass[-1]
        previous = self._own[:-1] if self._estimate is None else self._estimate
        self._estimate = mass[:-1] / weight if weight >= 1 else mass[:-1] + (1 - weight) * previous

    @property
    def is_empty(self) -> bool:
        """Whether there is no estimate yet."""
        return self._estimate is None

    @property
    def estimate(self) -> Array:
        """ŷ, (n_params + 1,): mean gradient sum and mean number of samples per agent."""
        return self._own[:-1] if self._estimate is None else self._estimate

    @property
    def mean_samples(self) -> float:
        """n̂: samples per agent, averaged over the network."""
        return float(self.estimate[-1])

    @property
    def direction(self) -> Array:
        """(n_params,): estimate of the gradient of the network's mean loss, Σ_k n_k ∇mean_k / Σ_k n_k."""
        direction: Array = self.estimate[:-1] / self.estimate[-1]
        return direction
