"""Settings by which the agents of a fleet know each other: named neighbors, seeds or mDNS.

An introduction maps the contacts of all agents to one table of settings, by `section.key`, for each agent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

SettingsByKey: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AgentContact:
    """What others need to know of an agent."""

    name: str
    public_key: str


Dial: TypeAlias = Callable[[int, int], str]
"""The address at which agent j dials agent k."""

Introduction: TypeAlias = Callable[[Sequence[AgentContact], Dial], list[SettingsByKey]]


def by_graph(edges: Iterable[tuple[int, int]]) -> Introduction:
    """Named neighbors: each edge (j, k) of an undirected graph makes j and k neighbors."""
    pairs = {pair for j, k in edges for pair in ((j, k), (k, j))}

    def introduce(contacts: Sequence[AgentContact], dial: Dial) -> list[SettingsByKey]:
        return [
            {
                "network.neighbors": [
                    {"name": contacts[k].name, "address": dial(j, k), "public_key": contacts[k].public_key}
                    for k in range(len(contacts))
                    if (j, k) in pairs
                ]
            }
            for j in range(len(contacts))
        ]

    return introduce


def by_full_graph() -> Introduction:
    """Named neighbors: each agent names all others."""
    return lambda contacts, dial: by_graph(combinations(range(len(contacts)), 2))(contacts, dial)


def by_seeds(*seeds: int) -> Introduction:
    """Gossip: all agents begin with these agents, agent 0 where none is given, and allow every other agent."""

    def introduce(contacts: Sequence[AgentContact], dial: Dial) -> list[SettingsByKey]:
        return [
            {
                "network.seeds": [
                    {"address": dial(j, k), "public_key": contacts[k].public_key} for k in seeds or (0,) if k != j
                ],
                "security.allowed_peers": _others(contacts, j),
            }
            for j in range(len(contacts))
        ]

    return introduce


def by_mdns() -> Introduction:
    """The local network: the agents find each other by mDNS, and allow every other agent."""
    return lambda contacts, dial: [  # noqa: ARG005
        {"network.discovery": "mdns", "security.allowed_peers": _others(contacts, j)} for j in range(len(contacts))
    ]


def _others(contacts: Sequence[AgentContact], j: int) -> list[str]:
    return [contact.public_key for k, contact in enumerate(contacts) if k != j]
