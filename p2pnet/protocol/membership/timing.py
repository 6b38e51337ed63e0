"""Timeouts and traffic limits of the membership protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class MembershipTiming:
    """Timeouts and limits of one agent's membership, in seconds and bytes; defaults suit the internet."""

    tick_s: float = 0.5
    """The interval of ticks; all other timeouts have this resolution."""
    probe_interval_s: float = 2.0
    """The silence after which a neighbor is pinged, and the interval of further pings."""
    silence_s: float = 30.0
    """The silence after which a connected neighbor is suspected; after half of it, indirect probes begin."""
    redial_grace_s: float = 5.0
    """How long a closed connection may take to come back before the neighbor is suspected."""
    suspicion_s: float = 8.0
    """The shortest suspicion timeout in networks of up to ten members; times log₁₀ N in larger networks."""
    contact_timeout_s: float = 8.0
    """The timeout of a contact: dialing, request and reply."""
    avoid_s: float = 20.0
    """How long a member that declined, or could not be reached, is not asked again."""
    random_probe_interval_s: float = 30.0
    """The interval of random probes, which detect the death of members whose neighbors have all gone."""
    sync_interval_s: float = 30.0
    """The interval of anti-entropy between neighbors whose tables agree."""
    forget_s: float = 600.0
    """How long dead members are kept, so that old records do not revive them."""
    max_bytes_per_s: float = 1500.0
    """The average rate of gossip and anti-entropy; pings and answers are sent in any case, and count."""


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
"""The ratio of the longest suspicion timeout (one accuser) to the shortest."""
N_CONFIRMATIONS = 3
"""K: the number of further accusers that make a suspicion timeout the shortest."""


def suspicion_timeout_s(timing: MembershipTiming, n_members: int, n_confirmations: int) -> float:
    """The suspicion timeout max − (max − min) · log(C + 1) / log(K + 1), after C of K confirmations (Lifeguard).

    Lifeguard (Dadgar et al. 2018), section IV-B.
    """
    shortest_s = timing.suspicion_s * max(1.0, math.log10(max(n_members, 1)))
    longest_s = LONGEST_SUSPICION * shortest_s
    part = math.log(min(n_confirmations, N_CONFIRMATIONS) + 1) / math.log(N_CONFIRMATIONS + 1)
    return longest_s - (longest_s - shortest_s) * part
