"""The workload of a network of agents on one machine: shards of samples, a graph, and a problem.

The demo runs a workload over processes, the simulation in virtual time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from p2pnet.agent.options import default_problem
from p2pnet.catalogue.losses import loss_for
from p2pnet.data.datasets import load_dataset
from p2pnet.data.roles import Roles
from p2pnet.data.samples import Samples
from p2pnet.data.sharding import PartitionName, shard_indices
from p2pnet.errors import DataError
from p2pnet.experiments.topologies.by_name import make_topology
from p2pnet.protocol.messages.training import MAX_BYTES_OF_LABELS, MAX_LABELS, TOO_MANY, united
from p2pnet.simulation.graphs import Edge
from p2pnet.training.options import ProblemOptions
from p2pnet.training.problem import Problem, check_outputs, make_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Samples, graph and problem of N agents."""

    data: str
    """the data option: a name or a file"""
    train: Samples
    """the samples of all agents"""
    test: Samples
    """test samples, the same for every agent's model"""
    shards: tuple[Samples, ...]
    """the training samples of each agent, views of `train`"""
    partition: PartitionName
    topology: str
    edges: tuple[Edge, ...]
    options: ProblemOptions
    """of the problem"""
    problem: Problem

    @property
    def n_agents(self) -> int:
        return len(self.shards)


def check_labels(data: str, samples: Samples) -> None:
    """DataError where the samples of all agents have more labels than agents tell each other before they train."""
    if united(samples.classes) == TOO_MANY:
        raise DataError(
            f"{data}, column {samples.target_name!r}: has {len(samples.classes)} labels; a network has {MAX_LABELS} at "
            f"most, and {MAX_BYTES_OF_LABELS} bytes of them; name another column with --target, or predict numbers "
            "with --task regression"
        )


def make_workload(
    *,
    n_agents: int,
    topology: str,
    data: str,
    target: str | None,
    task: Literal["auto", "regression", "classification"],
    partition: PartitionName,
    hidden: tuple[int, ...],
    penalty: str,
    seed: int,
    roles: Roles | None = None,
    problem: Mapping[str, Any] = MappingProxyType({}),
) -> Workload:
    """Build the workload of the options; DataError or ConfigError where options and data do not fit.

    `problem` has what else there is to say of it, by the names of the fields of `ProblemOptions`.
    """
    train, test = load_dataset(data, target, task, seed, roles=roles)
    check_labels(data, train)
    rows_of = shard_indices(train.Y, n_agents, partition, seed)
    options = default_problem(train.task, hidden=hidden, penalty=penalty, seed=seed, **problem)
    loss_for(train.task, options.loss)
    made = make_problem(options, train)
    check_outputs(made, options, train)
    return Workload(
        data=data,
        train=train,
        test=test,
        shards=tuple(train.take(rows) for rows in rows_of),
        partition=partition,
        topology=topology,
        edges=tuple(make_topology(topology, n_agents, np.random.default_rng(seed))),
        options=options,
        problem=made,
    )
