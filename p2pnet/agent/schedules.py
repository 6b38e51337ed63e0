"""Schedules: graphs that change from round to round, agreed on beforehand."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, final

from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.rounds.mixing import MetropolisMixing, Mixing, OnePeerExponential, RandomMatching


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOptions:
    """With which neighbors shares are exchanged in which round; agents must agree on it."""

    kind: Literal["all", "one-peer-exponential", "matching"]
    seed: int
    members: tuple[PeerId, ...]
    """all agents in the order of their keys, where the kind is not `all`"""


def make_mixing(options: ScheduleOptions, me: PeerId) -> Mixing:
    """Build the mixing rule; that of a schedule follows from the keys of all agents and the shared seed."""
    match options.kind:
        case "one-peer-exponential":
            return OnePeerExponential(me, options.members)
        case "matching":
            return RandomMatching(me, options.members, options.seed)
        case "all":
            return MetropolisMixing()


def describe_schedule(options: ScheduleOptions) -> dict[str, str]:
    """Describe the schedule for the fingerprint, by which agents with different schedules refuse each other."""
    if options.kind == "all":
        return {}
    digest = hashlib.sha256("\0".join(options.members).encode()).hexdigest()[:8]
    return {"schedule": f"{options.kind}, seed {options.seed}, {len(options.members)} agents ({digest})"}
