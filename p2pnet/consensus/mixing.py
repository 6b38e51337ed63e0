"""How much each neighbor counts in a round."""

from __future__ import annotations

from collections.abc import Mapping


def metropolis_weights(degree: int, neighbor_degrees: Mapping[str, int]) -> dict[str, float]:
    """c_j = 1 / (1 + max(degree, degree_j)) for each neighbor j; the agent itself keeps 1 − Σ_j c_j.

    Each pair computes the same weight from the same two degrees, which makes the network's matrix symmetric and doubly
    stochastic without anybody knowing it (Xiao, Boyd and Lall 2005). With `degree` no less than the number of
    neighbors, the agent's own weight is at least 1 / (1 + degree).
    """
    degree = max(degree, len(neighbor_degrees))
    return {peer: 1.0 / (1 + max(degree, theirs)) for peer, theirs in neighbor_degrees.items()}
