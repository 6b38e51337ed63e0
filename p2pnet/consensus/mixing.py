"""How much each neighbor counts in a round."""

from __future__ import annotations

from collections.abc import Mapping


def metropolis_weights(degree: int, neighbor_degrees: Mapping[str, int]) -> dict[str, float]:
    """c_j = ¾ / (1 + max(degree, degree_j)) for each neighbor j; the agent itself keeps 1 − Σ_j c_j.

    Each pair computes the same weight from the same two degrees, which makes the network's matrix symmetric and doubly
    stochastic without anybody knowing it (Xiao, Boyd and Lall 2005). With `degree` no less than the number of
    neighbors, the agent's own weight is at least ¼: eigenvalues λ of the usual weights become ¼ + ¾ λ, because with
    clearly negative ones local steps of full Newton length swing between two states and die out slowly.
    """
    degree = max(degree, len(neighbor_degrees))
    return {peer: 0.75 / (1 + max(degree, theirs)) for peer, theirs in neighbor_degrees.items()}
