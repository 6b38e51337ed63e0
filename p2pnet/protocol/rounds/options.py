"""The options of the training rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.rounds.mixing import MetropolisMixing, Mixing
from p2pnet.protocol.rounds.timing import Timing


@dataclass(frozen=True, slots=True)
class RoundOptions:
    """Options of the rounds: the same at all agents of a network, but for `expected_neighbors` and `names`."""

    max_rounds: int
    exchanges: int | None = None
    """Exchanges per local step; None for the growing schedule of `schedule.py`."""
    is_gradient_first: bool = False
    """Whether gradients are taken at the proposal z before mixing, and not at the mixed parameters w⁺."""
    n_signs: int = 0
    """Random signs averaged with the gradients to estimate the number of agents; the same number at all agents."""
    momentum: float | None = None
    """β, the momentum of flows over links; None for the growing schedule of `schedule.py`."""
    expected_neighbors: int = 1
    """The number of open links at which training begins."""
    settling_s: float = 0.0
    """How long no link must have opened before agents begin together, where it is not known how many to expect."""
    max_diameter: int = 32
    """An upper bound on the diameter of the graph, used by the termination detector."""
    tolerance: float = 4e-3
    """The bound on the relative residual and on the disagreement at which an agent counts as stationary."""
    precision: int = 64
    """Bits of a number on the wire, 64 or 32; 32 for tolerances of 1e-5 and more."""
    is_coded: bool = False
    """Whether shares for neighbors that can read them are coded instead."""
    max_ratio: float = 1e12
    """Of a neighbor's largest numbers to an agent's own: more is no matter of scaling."""
    is_bounded: bool = False
    """Whether links are held to the bounds of gradients and samples (`bounds.py`), which other sums do not keep."""
    is_clipped: bool = False
    """Whether parameters far from all others are clipped (`clipping.py`)."""
    is_audited: bool = False
    """Whether neighbors' parameters are evaluated on own samples (`auditing.py`)."""
    mixing: Mixing = field(default_factory=MetropolisMixing)
    keeps_running: bool = False
    """Whether agents stay after the last round, idle, and train on when samples change."""
    rescale_at: float = math.inf
    """The drift of the samples from their scales at which agents that keep running scale them anew."""
    timing: Timing = field(default_factory=Timing)
    names: Mapping[PeerId, str] = field(default_factory=dict)
    """Names for neighbors in notices until their Hello has come."""
