"""Mixing weights: the row and column of the mixing matrix of each round that belong to one agent."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final


@dataclass(frozen=True, slots=True)
class Weights:
    """One agent's part of the network's mixing matrix C in one round, without the diagonal."""

    given: Mapping[str, float]
    """c_jk: the fraction of this agent's mass that goes to neighbor j"""
    taken: Mapping[str, float]
    """c_kj: the weight of neighbor j's parameters in this agent's"""


class Mixing(ABC):
    """Computes the mixing weights of each round; two agents compute the same weights for their link."""

    @abstractmethod
    def weights(self, round_: int, degree: int, neighbor_degrees: Mapping[str, int]) -> Weights:
        """The mixing weights among the neighbors present; the own weight is the rest to 1.

        `degree` is the number of neighbors that this agent has announced for the round, `neighbor_degrees` what they
        have announced.
        """

    @abstractmethod
    def meets(self, peer: str, round_: int) -> bool:
        """Whether c_kj > 0 in that round for this neighbor j, if present."""


@final
class MetropolisMixing(Mixing):
    """c_kj = ¾ / (1 + max(degree_k, degree_j)) with every neighbor in every round.

    Each pair computes the same weight from the same two degrees, which makes the network's matrix symmetric and doubly
    stochastic without any agent knowing it (Xiao, Boyd and Lall 2005). With `degree` no less than the number of
    neighbors, the agent's own weight is at least ¼: eigenvalues λ of the usual weights become ¼ + ¾ λ, because with
    clearly negative eigenvalues full Newton steps oscillate and decay slowly.
    """

    def weights(self, round_: int, degree: int, neighbor_degrees: Mapping[str, int]) -> Weights:
        degree = max(degree, len(neighbor_degrees))
        both = {peer: 0.75 / (1 + max(degree, theirs)) for peer, theirs in neighbor_degrees.items()}
        return Weights(both, both)

    def meets(self, peer: str, round_: int) -> bool:
        return True


@final
class OnePeerExponential(Mixing):
    """One-peer exponential graph: c = ½ to the agent 2^t places ahead on a ring and from the agent 2^t places behind.

    With t = round mod ⌈log₂ N⌉: one share a round, and the exact mean after log₂ N rounds where N is a power of two
    (Assran et al. 2019; Ying et al. 2021). `members` are all agents, in the order that all agree on.
    """

    def __init__(self, me: str, members: tuple[str, ...]) -> None:
        self._members = members
        self._place = members.index(me)
        self._n_hops = max((len(members) - 1).bit_length(), 1)

    def weights(self, round_: int, degree: int, neighbor_degrees: Mapping[str, int]) -> Weights:
        return Weights(
            _half(self._member(round_, 1), neighbor_degrees), _half(self._member(round_, -1), neighbor_degrees)
        )

    def meets(self, peer: str, round_: int) -> bool:
        return peer == self._member(round_, -1)

    def _member(self, round_: int, way: int) -> str:
        hop = 2 ** (round_ % self._n_hops)
        place: int = (self._place + way * hop) % len(self._members)
        return self._members[place]


@final
class RandomMatching(Mixing):
    """Random matching: c = ½ with one other agent, drawn anew each round by all agents alike from a shared seed.

    With an odd number of agents, one agent is left out of each round.
    """

    def __init__(self, me: str, members: tuple[str, ...], seed: int) -> None:
        self._me = me
        self._members = members
        self._seed = seed

    def weights(self, round_: int, degree: int, neighbor_degrees: Mapping[str, int]) -> Weights:
        partner = self._partner(round_)
        both = {} if partner is None else _half(partner, neighbor_degrees)
        return Weights(both, both)

    def meets(self, peer: str, round_: int) -> bool:
        return peer == self._partner(round_)

    def _partner(self, round_: int) -> str | None:
        order = sorted(self._members, key=lambda member: _draw(self._seed, round_, member))
        place = order.index(self._me) ^ 1
        return order[place] if place < len(order) else None


@final
class ScheduledMetropolis(Mixing):
    """Time-varying graphs: c_kj = 1 / (1 + max(degree_k, degree_j)) in the graph of the round, graphs taken in turn.

    `neighbor_degrees_of` has an entry for each graph: this agent's neighbors in it with their degrees. All agents must
    have the same graphs in the same order.
    """

    def __init__(self, neighbor_degrees_of: Sequence[Mapping[str, int]]) -> None:
        self._weights = [
            {peer: 1.0 / (1 + max(len(degrees), theirs)) for peer, theirs in degrees.items()}
            for degrees in neighbor_degrees_of
        ]

    def weights(self, round_: int, degree: int, neighbor_degrees: Mapping[str, int]) -> Weights:
        planned = self._planned(round_)
        both = {peer: weight for peer, weight in planned.items() if peer in neighbor_degrees}
        return Weights(both, both)

    def meets(self, peer: str, round_: int) -> bool:
        return peer in self._planned(round_)

    def _planned(self, round_: int) -> Mapping[str, float]:
        return self._weights[round_ % len(self._weights)]


def _half(peer: str, neighbor_degrees: Mapping[str, int]) -> dict[str, float]:
    return {peer: 0.5} if peer in neighbor_degrees else {}


def _draw(seed: int, round_: int, member: str) -> bytes:
    """A pseudorandom number, the same at all agents, for one member in one round."""
    return hashlib.blake2b(f"{seed}/{round_}/{member}".encode(), digest_size=16).digest()
