"""The sections [agent], [network] and [security]: this agent, and those that it talks to."""

import socket
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from p2pnet.config.addresses import WILDCARD_HOSTS, BindAddress, DialAddress, PublicKey, split_address
from p2pnet.config.section import PositiveInt, Section

FLOAT32_TOLERANCE = 1e-5
"""Training down to this tolerance or a larger one is not disturbed by shares of single precision."""

_SOME_KEY = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"


class AgentSettings(Section):
    """Who this agent is and where it keeps its state."""

    name: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=64,
        description="Name shown to people and in logs; default: this machine's host name.",
        examples=["agent-1"],
    )
    state_dir: Path = Field(
        default=Path("state"), description="Directory for the model and all that outlives a restart."
    )
    checkpoint_interval_s: float = Field(
        default=10.0,
        gt=0,
        description="Least time between two checkpoints; saving takes at most a hundredth of the time.",
    )


class SeedSettings(Section):
    """An agent that is dialed first, to learn of the network."""

    address: DialAddress = Field(description="Where the agent listens.", examples=["tcp://192.0.2.8:7070"])
    public_key: PublicKey = Field(description="The agent's public key.", examples=[_SOME_KEY])


class NeighborSettings(Section):
    """An agent that this one exchanges shares with."""

    public_key: PublicKey = Field(description="The neighbor's public key.", examples=[_SOME_KEY])
    address: DialAddress | None = Field(default=None, description="Where the neighbor listens; left out, it dials.")
    name: str | None = Field(default=None, description="The neighbor's name, for logs until it has said it itself.")


class NetworkSettings(Section):
    """Where this agent listens, whom it talks to, and how long it waits."""

    bind: BindAddress = Field(
        default="tcp://0.0.0.0:7070", description='Address to listen on, or "none" for an agent that only dials out.'
    )
    advertise: DialAddress | None = Field(
        default=None,
        description="Address that others dial; default: bind, with the host name in place of a wildcard.",
        examples=["tcp://192.0.2.7:7070"],
    )
    neighbors: tuple[NeighborSettings, ...] = Field(
        default=(),
        description="Agents to exchange shares with; one without an address dials this agent.",
        examples=[
            [
                {
                    "name": "agent-2",
                    "address": "tcp://192.0.2.8:7070",
                    "public_key": _SOME_KEY,
                }
            ]
        ],
    )
    seeds: tuple[SeedSettings, ...] = Field(
        default=(),
        description="Agents to begin with where no neighbors are named: all agents then find each other by gossip.",
        examples=[[{"address": "tcp://192.0.2.8:7070", "public_key": _SOME_KEY}]],
    )
    discovery: Literal["none", "mdns"] = Field(
        default="none",
        description="mdns announces this agent's name, key and address on the local network, and dials every allowed "
        "agent found there; with named neighbors, only those without an address.",
    )
    max_neighbors: PositiveInt = Field(
        default=8,
        description="Most neighbors; further agents that dial are refused, but never a named neighbor. Where none are "
        "named, an agent looks for half as many, at least three, and keeps their places for them.",
    )
    min_agents: PositiveInt = Field(
        default=1,
        description="Agents, this one included, that must be there before anything begins: members that gossip, or "
        "named neighbors that are connected. With 1, what is there after a few seconds begins.",
    )
    preset: Literal["lan", "wan", "lossy"] = Field(
        default="lan",
        description="Patience with neighbors: a silent neighbor counts as gone after 15 s (lan), 30 s (wan) or 60 s "
        "(lossy), a neighbor whose connection has closed after 1.5, 5 or 15 s.",
    )
    round_timeout_s: float = Field(
        default=10.0,
        ge=0,
        description="Longest wait for the neighbors' shares of a round, in seconds; the wait adapts below it. "
        "Shares of more than 33 MB are waited for longer, three times what a line of 10 MB/s takes. 0: no wait.",
    )
    round_pace_s: float = Field(default=0.0, ge=0, description="Least time a round takes, in seconds.")
    start_timeout_s: float = Field(
        default=60.0,
        ge=0,
        description="Longest wait for all neighbors before training starts with those present, in seconds.",
    )
    finish_timeout_s: float = Field(
        default=30.0, ge=0, description="Longest time a finished agent goes on serving its neighbors, in seconds."
    )
    precision: Literal["auto", "float64", "float32", "coded"] = Field(
        default="auto",
        description="Numbers on the wire; auto: float32 for algorithm.tolerance >= 1e-5, float64 for more accuracy; "
        "coded: a fifth of the bytes, what the last shares do not predict, rounded the finer the smaller it is (auto "
        "for neighbors of earlier releases, and for those with float32 models that are not coded).",
    )
    max_message_bytes: int = Field(
        default=256 * 2**20,
        ge=4096,
        description="Largest frame accepted from a peer, in bytes; larger ones are refused unread.",
    )
    schedule: Literal["all", "one-peer-exponential", "matching"] = Field(
        default="all",
        description="Neighbors that shares are exchanged with in a round: all, or a single neighbor that changes every "
        "round, for which every agent must name all others.",
    )
    schedule_seed: int = Field(default=0, ge=0, description="Seed of the matching schedule, the same at all agents.")
    max_diameter: PositiveInt = Field(
        default=32,
        description="Bound on the hops between any two agents, a quarter more than there are: all must be stationary "
        "for that many rounds to stop.",
    )

    @property
    def is_coded(self) -> bool:
        """Whether shares for neighbors that can read them are coded."""
        return self.precision == "coded"

    def wire_bits(self, tolerance: float) -> int:
        """Bits of a number on the wire, 64 or 32, for training down to this tolerance where shares are not coded."""
        is_chosen = self.precision in ("float32", "float64")
        is_short = self.precision == "float32" if is_chosen else tolerance >= FLOAT32_TOLERANCE
        return 32 if is_short else 64

    @property
    def advertised_address(self) -> str | None:
        """The address that others dial, None for an agent that only dials out."""
        if self.bind == "none":
            return None
        if self.advertise is not None:
            return self.advertise
        host, port = split_address(self.bind)
        return f"tcp://{socket.gethostname()}:{port}" if host in WILDCARD_HOSTS else self.bind

    @model_validator(mode="after")
    def _keys_are_distinct(self) -> "NetworkSettings":
        for kind, peers in (("neighbors", self.neighbors), ("seeds", self.seeds)):
            keys = [peer.public_key for peer in peers]
            repeated = next((key for key in keys if keys.count(key) > 1), None)
            if repeated is not None:
                raise ValueError(f"{kind} must have different public keys; {repeated} stands there twice")
        if self.bind == "none" and self.discovery == "none" and any(peer.address is None for peer in self.neighbors):
            raise ValueError('every neighbor needs an address where bind = "none", since no agent can dial this one')
        if self.neighbors and self.min_agents > 1 + len(self.neighbors):
            raise ValueError(
                f"min_agents = {self.min_agents}: agents that name their neighbors know of those alone, here "
                f"{len(self.neighbors)}, and of themselves"
            )
        if self.schedule != "all" and not self.neighbors:
            raise ValueError(f'schedule = "{self.schedule}" needs all other agents of the network among the neighbors')
        return self


class PrivacySettings(Section):
    """What others are told beyond what training needs."""

    share_metrics: bool = Field(
        default=False,
        description="Whether all members may see this agent's own objective and test metric, as in `p2pnet watch`.",
    )
    mask_statistics: bool = Field(
        default=True,
        description="Whether feature statistics are masked from neighbors while they are averaged.",
    )


class SecuritySettings(Section):
    """Who may talk to this agent."""

    secret_key: Path = Field(default=Path("agent.key"), description="Key file of this agent, made by `p2pnet keygen`.")
    network: Path | None = Field(
        default=None,
        description="Directory with the records of the network that this agent belongs to, made by `p2pnet init` and "
        "`p2pnet join`: they say who may connect. Default: keys that stand in this file, and no others.",
        examples=["network"],
    )
    audit_neighbors: bool = Field(
        default=True,
        description="Whether neighbors' parameters are evaluated on some of this agent's samples, and a neighbor whose "
        "parameters are of no use for them is cut off for a while.",
    )
    bound_shares: bool = Field(
        default=True,
        description="Whether a neighbor that moves more weight, samples, gradient or curvature than honest ones do is "
        "cut off for a while; not with a schedule, nor with round_timeout_s = 0.",
    )
    clip_parameters: bool = Field(
        default=False,
        description="Whether parameters far from all others are mixed in only in part, and a neighbor whose parameters "
        "stay there is cut off for a while; not with a schedule, nor with round_timeout_s = 0. Costs accuracy where "
        "agents see other classes.",
    )
    allowed_peers: tuple[PublicKey, ...] = Field(
        default=(),
        description="Public keys that may connect, besides those of neighbors and seeds.",
        examples=[[_SOME_KEY]],
    )
