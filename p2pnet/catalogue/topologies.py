"""Topologies by their names."""

from dataclasses import dataclass
from typing import Final, final

from p2pnet.catalogue.registry import Parameter, TermEntry, TermRegistry


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyEntry(TermEntry):
    """A topology; its target takes the number of agents, 2 or more, a `numpy.random.Generator` and the numbers of its
    term, and gives the edges (j, k), j < k, of a connected graph, or a list of graphs that are connected together.
    """

    is_changing: bool = False
    """whether the target gives a list of graphs, which rounds take in turn"""
    is_one_peer: bool = False
    """whether an agent gives to one agent and takes from another in each round, with weight ½ each"""
    is_found: bool = False
    """whether agents find each other and choose neighbors themselves: the target gives one graph without edges"""


_FIXED: Final = "p2pnet.experiments.topologies.fixed"
_RANDOM: Final = "p2pnet.experiments.topologies.random_graphs"
_CHANGING: Final = "p2pnet.experiments.topologies.changing"

TOPOLOGIES: Final = TermRegistry(
    "topology",
    "p2pnet.topologies",
    TopologyEntry,
    (
        TopologyEntry(name="ring", target=f"{_FIXED}:ring"),
        TopologyEntry(name="path", target=f"{_FIXED}:path"),
        TopologyEntry(name="star", target=f"{_FIXED}:star"),
        TopologyEntry(name="grid", target=f"{_FIXED}:grid"),
        TopologyEntry(name="torus", target=f"{_FIXED}:torus"),
        TopologyEntry(name="full", target=f"{_FIXED}:full"),
        TopologyEntry(name="exponential", target=f"{_FIXED}:exponential"),
        TopologyEntry(
            name="random",
            target=f"{_RANDOM}:erdos_renyi",
            parameters=(Parameter("P", above=0, most=1, is_optional=True),),
        ),
        TopologyEntry(name="regular", target=f"{_RANDOM}:regular", parameters=(Parameter("D", is_whole=True),)),
        TopologyEntry(
            name="one-peer-exponential",
            target=f"{_CHANGING}:one_peer_exponential",
            is_changing=True,
            is_one_peer=True,
        ),
        TopologyEntry(name="matching", target=f"{_CHANGING}:matchings", is_changing=True),
        TopologyEntry(name="overlay", target=f"{_CHANGING}:overlay", is_changing=True, is_found=True),
    ),
)


def topology_forms(*, is_changing: bool | None = None) -> tuple[str, ...]:
    """The forms of the built-in topologies: all, fixed, or changing."""
    entries = (entry for entry in TOPOLOGIES if is_changing is None or entry.is_changing == is_changing)
    return tuple(form for entry in entries for form in entry.forms)
