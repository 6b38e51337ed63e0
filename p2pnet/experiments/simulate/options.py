"""The options of the simulation: those of the demo, and algorithms, faults and wire precision."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, final, get_args

from p2pnet.agent.options import default_exchanges, default_tolerance, wire_bits
from p2pnet.catalogue.readers import suffixes
from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.catalogue.topologies import TOPOLOGIES
from p2pnet.data.datasets import is_named, named_datasets
from p2pnet.data.sharding import PartitionName
from p2pnet.data.synthetic import PREFIX, parse_synthetic
from p2pnet.errors import ConfigError
from p2pnet.experiments.options import ExperimentOptions, require, require_term
from p2pnet.experiments.topologies.by_name import is_fixed, is_found
from p2pnet.simulation.faults import (
    CALM_ROUNDS,
    CALM_ROUNDS_FOUND,
    MAX_DELAY_ROUNDS,
    MAX_LOSS_RATE,
    MIN_ALIVE,
    Faults,
    read_speeds,
)
from p2pnet.simulation.processes import can_fork, n_cores

AlgorithmName = Literal["next", "gradient-tracking", "dgd", "dpsgd", "alone", "central"]
MAX_AGENTS = 10_000
MANY_AGENTS = 100
"""The number of agents from which on several processes are faster than one."""
MAX_AGENTS_FULL = 500
"""The most agents on a full graph: more would have over a hundred thousand links, with several vectors each."""
MAX_AGENTS_OVERLAY = 1_000
"""Each of them knows all others, so memory grows by the square."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateOptions(ExperimentOptions):
    """The simulation's options, checked; ConfigError names the first that is wrong.

    A graph is one of the catalogue's topologies, or the path of a file with edges; data may be
    synthetic:… as well.
    """

    activation: str = "tanh"
    loss: str = "auto"
    tolerance: float | None = None
    """of the residual, relative to the first round's; None: an agent's own"""
    algorithm: AlgorithmName = "next"
    surrogate: str = "partial"
    step_rule: str = "secant"
    weighting: Literal["auto", "proxy", "own", "paper", "network"] = "auto"
    curvature_samples: int | None = None
    solver: str = "auto"
    gradient_order: Literal["after-mixing", "before-mixing"] = "after-mixing"
    exchanges: int | None = None
    """exchanges for each local step; None: an agent's own for next, 1 for the others"""
    step_size: float = 0.1
    """of gradient-tracking, dgd and dpsgd"""
    batch_size: int = 32
    """samples of one step of dpsgd"""
    blocks: int = 1
    workers: int = 1
    processes: int | None = None
    """that share the agents; None: one for each core, where agents are many"""
    is_float32: bool = False
    wire: Literal["auto", "float64", "float32", "coded"] = "auto"
    """numbers in messages; auto: float32 where they are computed so, else an agent's own"""
    loss_rate: float = 0.0
    """probability of each message to be lost"""
    duplicate_rate: float = 0.0
    """probability of each message to be duplicated"""
    delay_rounds: float = 0.0
    """largest extra delay of a message, in rounds"""
    churn: float = 0.0
    """probability of each agent to crash in a round"""
    checkpoints: bool = False
    """whether a crashed agent goes on from its last checkpoint"""
    cut: tuple[int, int] | None = None
    """rounds between which the network is cut in halves"""
    speeds: Path | None = None
    """file with a speed for each agent"""
    is_asynchronous: bool = False
    """whether no agent waits for another"""
    is_compared: bool = True
    """whether baselines are trained too"""

    def __post_init__(self) -> None:
        require(2 <= self.agents <= MAX_AGENTS, "--agents", self.agents, f"must be from 2 to {MAX_AGENTS}")
        if self.topology == "full":
            require(self.agents <= MAX_AGENTS_FULL, "--agents", self.agents, f"full has {MAX_AGENTS_FULL} at most")
        if is_found(self.topology):
            reason = f"an overlay has {MAX_AGENTS_OVERLAY} at most"
            require(self.agents <= MAX_AGENTS_OVERLAY, "--agents", self.agents, reason)
        if self.topology.partition(":")[0] in TOPOLOGIES:
            require_term("--topology", self.topology, TOPOLOGIES.parse)
        if self.data.startswith(PREFIX):
            parse_synthetic(self.data)
        else:
            known = f"{named_datasets()}, synthetic:..., or a file that ends in {suffixes()}"
            require(self.is_of_file or is_named(self.data), "--data", self.data, f"must be one of {known}")
        self.check_training()
        require_term("--step-rule", self.step_rule, STEP_RULES.parse)
        for name, count in {
            "--exchanges": 1 if self.exchanges is None else self.exchanges,
            "--curvature-samples": 1 if self.curvature_samples is None else self.curvature_samples,
            "--batch-size": self.batch_size,
            "--blocks": self.blocks,
            "--workers": self.workers,
            "--processes": self.processes_used,
        }.items():
            require(count >= 1, name, count, "must be at least 1")
        require(0 <= self.tolerance_used < 1, "--tolerance", self.tolerance, "must be 0 or more, below 1")
        require(0 < self.step_size < math.inf, "--step-size", self.step_size, "must be above 0")
        for name, rate in {"--duplicate-rate": self.duplicate_rate, "--churn": self.churn}.items():
            require(0 <= rate < 1, name, rate, "must be a chance: 0 or more, below 1")
        for name, amount, most in (
            ("--loss-rate", self.loss_rate, MAX_LOSS_RATE),
            ("--delay-rounds", self.delay_rounds, MAX_DELAY_ROUNDS),
        ):
            require(0 <= amount <= most, name, amount, f"must be from 0 to {most:g}")
        if self.churn > 0.0:
            require(self.agents > MIN_ALIVE, "--churn", self.churn, f"needs more agents: {MIN_ALIVE} always stay")
            calm_rounds = CALM_ROUNDS_FOUND if self.is_found else CALM_ROUNDS
            reason = f"needs more rounds: in the last {calm_rounds} no agent crashes"
            require(self.rounds > calm_rounds, "--churn", self.churn, reason)
        require(not self.checkpoints or self.churn > 0.0, "--checkpoints", self.checkpoints, "needs --churn")
        if self.cut is not None:
            first, last = self.cut
            require(0 <= first < last, "--partition", f"{first}:{last}", "must be the rounds FROM:TO, in this order")
            require(first < self.rounds, "--partition", f"{first}:{last}", f"begins after the last of {self.rounds}")
        require(self.processes_used <= self.agents, "--processes", self.processes, "must not be more than agents")
        if self.processes_used > 1:
            require(can_fork(), "--processes", self.processes, "must be 1 on this system, which cannot fork")
            reason = "must be 1 without a network, with faults, and on graphs that change"
            require(self.is_in_step, "--processes", self.processes, reason)
        if self.algorithm in ("alone", "central"):
            require(self.faults is None, "--algorithm", self.algorithm, "has no network that faults could strike")

    @property
    def is_found(self) -> bool:
        """Whether the agents find each other, and choose their neighbors themselves."""
        return is_found(self.topology) and self.algorithm not in ("alone", "central")

    @property
    def exchanges_used(self) -> int | None:
        """The exchanges per local step; None for the growing schedule."""
        return self.exchanges or (default_exchanges() if self.algorithm == "next" else 1)

    @property
    def tolerance_used(self) -> float:
        """The residual at which an agent is stationary, relative to the first round's."""
        return default_tolerance() if self.tolerance is None else self.tolerance

    @property
    def processes_used(self) -> int:
        """The number of processes; outcomes do not depend on it."""
        if self.processes is not None:
            return self.processes
        is_worth_it = self.agents >= MANY_AGENTS and self.is_in_step and can_fork()
        return n_cores() if is_worth_it else 1

    @property
    def is_in_step(self) -> bool:
        """Whether each agent waits for all its neighbors in each round: then the order of simultaneous events does not
        matter.
        """
        return self.algorithm not in ("alone", "central") and self.faults is None and is_fixed(self.topology)

    @property
    def wire_bits(self) -> int:
        """The precision of numbers in messages, in bits."""
        is_chosen = self.is_float32 and self.wire == "auto"
        return 32 if is_chosen else wire_bits(self.wire, self.tolerance_used)

    @property
    def faults(self) -> Faults | None:
        """The faults to be injected; None without any."""
        faults = Faults(
            loss_rate=self.loss_rate,
            duplicate_rate=self.duplicate_rate,
            delay_rounds=self.delay_rounds,
            churn=self.churn,
            has_checkpoints=self.checkpoints,
            cut=self.cut,
            speeds=read_speeds(self.speeds, self.agents) if self.speeds is not None else (),
            is_asynchronous=self.is_asynchronous,
        )
        return None if faults == Faults() else faults

    @property
    def surrogate_used(self) -> str:
        """The surrogate of the local steps, as text."""
        return self.surrogate if self.algorithm in ("next", "alone", "central") else "full"


def parse_partitions(texts: Sequence[str]) -> tuple[PartitionName, tuple[int, int] | None]:
    """Parse partitions of the data and of the network (FROM:TO rounds); ConfigError for other text."""
    partitions: list[PartitionName] = []
    cuts: list[tuple[int, int]] = []
    for text in texts:
        if text in get_args(PartitionName):
            partitions.append(cast(PartitionName, text))
        elif match := re.fullmatch(r"(\d{1,9}):(\d{1,9})", text):
            cuts.append((int(match[1]), int(match[2])))
        else:
            raise ConfigError(f"--partition {text}: must be iid, sorted, or FROM:TO, the rounds of a cut network")
        require(len(partitions) <= 1, "--partition", text, "the data is cut up in one way; leave the other out")
        require(len(cuts) <= 1, "--partition", text, "the network is cut once; leave the other out")
    return partitions[0] if partitions else "iid", cuts[0] if cuts else None
