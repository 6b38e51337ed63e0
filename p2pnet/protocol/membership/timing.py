"""How patient the membership is, and how much it may send."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class MembershipTiming:
    """Time limits and amounts of one agent, in seconds and bytes; as they are for networks over the internet."""

    tick_s: float = 0.5
    """How often it is looked whether something is due; limits are kept to this precision."""
    probe_interval_s: float = 2.0
    """A neighbor that says nothing for this long is pinged, and again after the same time."""
    silence_s: float = 30.0
    """A connected neighbor that has said nothing for this long is suspected; from half of it on, others are asked."""
    redial_grace_s: float = 5.0
    """How long a closed connection may take to come back before the neighbor is suspected."""
    suspicion_s: float = 8.0
    """How long a suspect has at least to say that it is alive, in networks of up to ten; times log₁₀ of larger ones."""
    contact_timeout_s: float = 8.0
    """How long dialing a member that is no neighbor, with question and answer, may take."""
    avoid_s: float = 20.0
    """A member that turned us away, or could not be reached, is not asked again for this long."""
    random_probe_interval_s: float = 30.0
    """How often one member that is no neighbor is looked up, so that nobody whose neighbors have all gone is forgotten.
    """
    sync_interval_s: float = 30.0
    """How often two neighbors that know the same compare what they know."""
    forget_s: float = 600.0
    """How long the dead are remembered, so that old news does not bring them back."""
    max_bytes_per_s: float = 1500.0
    """What gossip and comparing may send; pings and answers come on top, and count."""


WAN = MembershipTiming()
LAN = replace(
    WAN,
    tick_s=0.2,
    probe_interval_s=1.0,
    silence_s=15.0,
    redial_grace_s=2.0,
    suspicion_s=5.0,
    avoid_s=10.0,
    random_probe_interval_s=15.0,
)
LOSSY = replace(WAN, silence_s=60.0, redial_grace_s=20.0, suspicion_s=20.0, contact_timeout_s=20.0)

PRESETS: Mapping[str, MembershipTiming] = {"lan": LAN, "wan": WAN, "lossy": LOSSY}

LONGEST_SUSPICION = 3.0
"""The longest suspicion, that of a single accuser, over the shortest."""
N_CONFIRMATIONS = 3
"""As many accusers besides the first make a suspicion as short as it gets."""


def suspicion_timeout_s(timing: MembershipTiming, n_members: int, n_confirmations: int) -> float:
    """How long a suspect has: max − (max − min) · log(C + 1) / log(K + 1), with C of K confirmations.

    Lifeguard (Dadgar et al. 2018), section IV-B.
    """
    shortest_s = timing.suspicion_s * max(1.0, math.log10(max(n_members, 1)))
    longest_s = LONGEST_SUSPICION * shortest_s
    part = math.log(min(n_confirmations, N_CONFIRMATIONS) + 1) / math.log(N_CONFIRMATIONS + 1)
    return longest_s - (longest_s - shortest_s) * part
