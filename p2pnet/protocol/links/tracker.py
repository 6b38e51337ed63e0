"""Gradient tracking over conserving links: each agent estimates the network's mean gradient.

Each agent k owns a vector x_k = (n_k ∇mean_k, n_k, 1): its gradient sum, its number of samples, and the weight of one
agent. The tracker is computed from the ledgers of its links, never accumulated:

    y_k = x_k + Σ_links (received − sent)

so that Σ_k y_k + mass in flight = Σ_k x_k whatever is lost, repeated, late or closed. In the fault-free case this is
the tracking of Di Lorenzo and Scutari (2016, arXiv 1602.00591, eq. 12), in the form of running sums (Hadjicostis,
Vaidya and Domínguez-García 2016).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import final

import numpy as np
import numpy.typing as npt

from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.curvature import plus
from p2pnet.protocol.links.ledger import CHUNK, norm
from p2pnet.protocol.links.link import Link

N_SIGNS = 128
"""The number m of random signs: the relative error of the estimated network size is about √(2/m) = 1/8."""


@final
class Tracker:
    """The tracked estimate of the network's mean gradient sum, mean signs and mean number of samples."""

    def __init__(self, n_params: int, signs: Array | None = None, dtype: npt.DTypeLike = np.float64) -> None:
        """`dtype` is that of the vectors that are kept; what links have moved is added up in double precision."""
        self._n_params = n_params
        self._signs = np.zeros(0) if signs is None else signs
        self._own: Array = np.zeros(n_params + len(self._signs) + 2, dtype=dtype)
        self._estimate: Array | None = None
        self.own_curvature: Array = np.zeros(0)
        """What the agent has measured of curvature (`curvature.py`); empty where that is nothing."""
        self._curvature: Array = self.own_curvature
        self.largest_own = 0.0
        """The largest norm ‖x‖ so far, or that was to be expected of others."""
        self.weight = 1.0
        """p, the weight that was present when the estimate was computed."""

    @property
    def own(self) -> Array:
        """x, (n_params + number of signs + 2,): the agent's own term in the tracked sum."""
        return self._own

    def replace_own(self, gradient_sum: Array, n_samples: float, curvature: Array | None = None) -> None:
        self.own_curvature = np.zeros(0) if curvature is None else curvature
        self._own = np.concatenate([gradient_sum, self._signs, [n_samples, 1.0]], dtype=self._own.dtype)
        self.largest_own = max(self.largest_own, norm(self._own))

    def expect(self, size: float) -> None:
        """Know that others may own what is as large as this."""
        self.largest_own = max(self.largest_own, size)

    def mass(self, links: Iterable[Link]) -> Array:
        """The mass present, y = x + Σ (received − sent), with what links are masked by, of x's shape.

        Links in a fixed order give the same rounding every time.
        """
        mass, links = self._own.copy(), tuple(links)
        if mass.dtype == np.float64:
            for link in links:
                link.add_to(mass)
            return mass
        for start in range(0, mass.size, CHUNK):
            part = slice(start, start + CHUNK)
            sums = mass[part].astype(np.float64)
            for link in links:
                link.add_to(sums, part)
            mass[part] = sums
        return mass

    def exact_mass(self, links: Iterable[Link]) -> Array:
        """The mass present in double precision."""
        if self._own.dtype == np.float64:
            return self.mass(links)
        mass = self._own.astype(np.float64)
        for link in links:
            link.add_to(mass)
        return mass

    def present_weight(self, links: Iterable[Link]) -> float:
        """The last number of the mass: how much weight is present."""
        weight = float(self._own[-1])
        for link in links:
            weight = link.weight_added_to(weight)
        return weight

    def curvature_mass(self, links: Iterable[Link]) -> Array:
        """The same of curvature; empty where there is none."""
        mass = self.own_curvature
        for link in links:
            if link.curvature_received.size or link.curvature_sent.size:
                mass = plus(plus(mass, link.curvature_received), -link.curvature_sent)
        return mass

    def update(self, links: Sequence[Link]) -> None:
        """Recompute the estimate ŷ from the mass y present, whose last entry is the weight p:

            ŷ = y / p  where p ≥ 1,  else  y + (1 − p) ŷ_previous.

        Loss and unequal speeds leave an agent with less or more than its fair mass. Dividing by a small weight would
        amplify noise without bound; filling up with the previous estimate has the same fixed point and does not.
        """
        mass = self.mass(links)
        weight = self.weight = float(mass[-1])
        estimate = mass[:-1]
        if weight >= 1:
            estimate /= weight
        else:
            estimate += (1 - weight) * (self._own[:-1] if self._estimate is None else self._estimate)
        self._estimate = estimate
        curvature = self.curvature_mass(links)
        self._curvature = curvature / weight if weight >= 1 else plus(curvature, (1 - weight) * self._curvature)

    def begin_anew(self) -> None:
        """Forget the estimate: what it was of is tracked no longer."""
        self._estimate = None

    @property
    def is_empty(self) -> bool:
        """Whether no estimate has been computed yet."""
        return self._estimate is None

    @property
    def estimate(self) -> Array:
        """ŷ: mean gradient sum, mean signs, and mean number of samples per agent."""
        return self._own[:-1] if self._estimate is None else self._estimate

    @property
    def mean_samples(self) -> float:
        """n̂: samples per agent, averaged over the network."""
        return float(self.estimate[-1])

    @property
    def direction(self) -> Array:
        """(n_params,): estimate of the gradient of the network's mean loss, Σ_k n_k ∇mean_k / Σ_k n_k."""
        direction: Array = self.estimate[: self._n_params] / self.estimate[-1]
        return direction

    @property
    def curvature(self) -> Array:
        """The same estimate of curvature, Σ_k x_k / Σ_k n_k; empty where there is none."""
        return self._curvature / self.mean_samples

    @property
    def network_size(self) -> float:
        """N̂ = m / ‖mean of the agents' m signs‖², 1 without signs: the mean of N independent signs has variance 1/N.

        Its relative error is about √(2/m). The estimate follows agents that join and leave, since closing a link undoes
        its transfers.
        """
        mean = self.estimate[self._n_params : -1]
        return len(mean) / max(float(mean @ mean), 1e-12 * len(mean)) if len(mean) else 1.0


def signs_of(peer: str, n_signs: int) -> Array:
    """The m random signs ±1 of one agent: bits of a hash of its id."""
    digest = hashlib.shake_128(peer.encode()).digest(-(-n_signs // 8))
    bits = np.unpackbits(np.frombuffer(digest, dtype=np.uint8))[:n_signs]
    return 2.0 * bits.astype(np.float64) - 1.0
