"""What the rounds of one agent are like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.rounds.mixing import MetropolisMixing, Mixing
from p2pnet.protocol.rounds.timing import Timing


@dataclass(frozen=True, slots=True)
class RoundOptions:
    """The same for all agents of a network, but for `expected_neighbors` and `names`."""

    max_rounds: int
    exchanges: int | None = None
    """Exchanges with the neighbors for each local step; None: few at first, more later."""
    is_gradient_first: bool = False
    """Whether gradients are taken at the proposal, before it is mixed, and not at what the mixing made of it."""
    n_signs: int = 0
    """Random signs averaged with the gradients, from which the number of agents is estimated; the same at all."""
    momentum: float | None = None
    """What flows between two neighbors keeps this part of what flowed in the round before; None: little, later more."""
    expected_neighbors: int = 1
    """Training begins once that many links are open."""
    max_diameter: int = 32
    """A bound on the diameter of the graph: how far word must travel before all can stop."""
    tolerance: float = 4e-3
    """Quiet is whose residual is below this part of the first round's, and who differs by less from its neighbors."""
    precision: int = 64
    """Bits of a number on the wire, 64 or 32; 32 for tolerances of 1e-5 and more."""
    max_ratio: float = 1e12
    """Of a neighbor's largest numbers to an agent's own: more is no matter of scaling."""
    mixing: Mixing = field(default_factory=MetropolisMixing)
    timing: Timing = field(default_factory=Timing)
    names: Mapping[PeerId, str] = field(default_factory=dict)
    """What neighbors are called in the log until they have said a name themselves."""
