"""The workload of a simulation."""

from __future__ import annotations

import numpy as np

from p2pnet.agent.options import default_problem
from p2pnet.catalogue.losses import loss_for
from p2pnet.data.datasets import load_dataset
from p2pnet.data.samples import Samples
from p2pnet.data.sharding import shard_indices
from p2pnet.data.synthetic import PREFIX, make_synthetic, parse_synthetic, shard_rows
from p2pnet.errors import ConfigError
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.workload import Workload, check_labels
from p2pnet.simulation.graphs import Edge
from p2pnet.training.problem import check_outputs, make_problem


def make_simulated_workload(
    options: SimulateOptions, edges: list[Edge], samples: tuple[Samples, Samples] | None = None
) -> Workload:
    """Build the workload of the options, on the (training, test) samples if given, else on those of `options.data`;
    DataError or ConfigError where options and samples do not fit.
    """
    train, test, shards = _samples(options) if samples is None else _cut(options, *samples)
    try:
        loss = loss_for(train.task, options.loss)
    except ConfigError as error:
        raise ConfigError(f"--loss {error}") from error
    problem_options = default_problem(
        train.task,
        hidden=options.hidden,
        activation=options.activation,
        precision="float32" if options.is_float32 else "float64",
        seed=options.seed,
        loss=loss,
        penalty=options.penalty,
        factory=options.factory,
        arguments=options.arguments,
    )
    problem = make_problem(problem_options, train)
    check_outputs(problem, problem_options, train)
    return Workload(
        data=options.data,
        train=train,
        test=test,
        shards=shards,
        partition=options.partition,
        topology=options.topology,
        edges=tuple(edges),
        options=problem_options,
        problem=problem,
    )


def _samples(options: SimulateOptions) -> tuple[Samples, Samples, tuple[Samples, ...]]:
    """(training, test, shards): the shards are views of the training samples, which lie in their order."""
    n_agents = options.agents
    if options.data.startswith(PREFIX):
        dtype = np.float32 if options.is_float32 else np.float64
        train, test = make_synthetic(parse_synthetic(options.data), n_agents, options.seed, dtype)
        if options.partition == "iid":
            return train, test, tuple(train.take(rows) for rows in shard_rows(train.n_samples, n_agents))
    else:
        train, test = load_dataset(
            options.data, options.target, options.task, options.seed, options.loss, options.roles
        )
        check_labels(options.data, train)
    return _cut(options, train, test)


def _cut(options: SimulateOptions, train: Samples, test: Samples) -> tuple[Samples, Samples, tuple[Samples, ...]]:
    rows_of = shard_indices(train.Y, options.agents, options.partition, options.seed)
    train = train.take(np.concatenate(rows_of))
    ends = np.cumsum([len(rows) for rows in rows_of]).tolist()
    starts = [0, *ends[:-1]]
    return train, test, tuple(train.take(slice(*bounds)) for bounds in zip(starts, ends, strict=True))
