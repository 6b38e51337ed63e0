"""What is measured of a fleet while harm is done to it, from the agents' histories and logs."""

from __future__ import annotations

import re
import time
from collections.abc import Collection

import numpy as np

from p2pnet.testing.fleet import Fleet

PATIENCE_S = 60.0
WAITED_IN_VAIN = re.compile(r"waited (\d+\.\d) s in vain")


def time_to_notice(fleet: Fleet, victim: int, neighbors: Collection[int], since_s: float) -> float:
    """Until all neighbors of the victim that still run have closed their links with it, seconds."""
    running = [k for k in neighbors if not fleet.has_ended(k)]

    def noticed() -> list[float]:
        closings = (fleet[k].files.matching(f"link with {fleet[victim].name}") for k in running)
        found = ([entry.time_s for entry in entries if entry.time_s > since_s] for entries in closings)
        return [times[0] for times in found if times]

    fleet.until(lambda: len(noticed()) == len(running), PATIENCE_S)
    return max(noticed(), default=since_s) - since_s


def longest_delay(fleet: Fleet, agents: Collection[int], since_s: float, duration_s: float, pace_s: float) -> float:
    """By how much more than the pace any of the agents waited for its next round within that time, seconds."""
    until_s = since_s + duration_s
    time.sleep(max(until_s - time.time(), 0.0))
    longest = 0.0
    for k in agents:
        times = [record.time_s for record in fleet[k].files.records()]
        before = max((t for t in times if t <= since_s), default=since_s)
        within = [before, *(t for t in times if since_s < t <= until_s), until_s]
        if times and times[-1] > until_s:
            within[-1] = min(t for t in times if t > until_s)
        longest = max(longest, float(np.max(np.diff(within))))
    return max(longest - pace_s, 0.0)


def rounds_within(fleet: Fleet, agents: Collection[int], since_s: float, duration_s: float) -> int:
    """Rounds begun in that time by the agent that began fewest."""
    return min(sum(since_s < r.time_s <= since_s + duration_s for r in fleet[k].files.records()) for k in agents)


def first_round_after(fleet: Fleet, agent: int, since_s: float) -> float | None:
    """When the agent first went through a round after that time, seconds since the epoch."""
    return next((record.time_s for record in fleet[agent].files.records() if record.time_s > since_s), None)


def time_to_be_one(fleet: Fleet, agents: Collection[int], since_s: float) -> float:
    """Until the disagreement of all agents was, for the first time, no more than twice what it is now, seconds."""
    limit = 2 * max(fleet[k].files.records()[-1].disagreement for k in agents)
    above = [
        r.time_s for k in agents for r in fleet[k].files.records() if r.time_s > since_s and r.disagreement > limit
    ]
    return max(above, default=since_s) - since_s


def longest_deadline(fleet: Fleet, agents: Collection[int], since_s: float) -> float:
    """The longest that any of the agents says to have waited in vain since then, seconds; 0 where none did."""
    lines = (line for k in agents for line in fleet[k].files.entries() if line.time_s > since_s)
    waits = (WAITED_IN_VAIN.match(line.text) for line in lines)
    return max((float(match[1]) for match in waits if match), default=0.0)
