"""From the simulation's options to what its agents train."""

from __future__ import annotations

import numpy as np

from p2pnet.config import ModelSettings, ObjectiveSettings
from p2pnet.data.datasets import load_dataset
from p2pnet.data.samples import Samples
from p2pnet.data.sharding import shard_indices
from p2pnet.data.synthetic import PREFIX, make_synthetic, parse_synthetic, shard_rows
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.workload import Workload
from p2pnet.simulation.graphs import Edge
from p2pnet.training.problem import make_problem


def make_simulated_workload(
    options: SimulateOptions, edges: list[Edge], samples: tuple[Samples, Samples] | None = None
) -> Workload:
    """The workload of these options, on the (training, test) samples where they are given in place of `options.data`;
    DataError or ConfigError where they and the data do not go together.
    """
    train, test, shards = _samples(options) if samples is None else _cut(options, *samples)
    model = ModelSettings(
        hidden=options.hidden,
        activation=options.activation,
        precision="float32" if options.is_float32 else "float64",
        seed=options.seed,
    )
    objective = ObjectiveSettings(loss=options.loss, penalty=options.penalty)
    return Workload(
        data=options.data,
        train=train,
        test=test,
        shards=shards,
        partition=options.partition,
        topology=options.topology,
        edges=tuple(edges),
        model=model,
        objective=objective,
        problem=make_problem(model, objective, train),
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
        train, test = load_dataset(options.data, options.target, options.task, options.seed)
    return _cut(options, train, test)


def _cut(options: SimulateOptions, train: Samples, test: Samples) -> tuple[Samples, Samples, tuple[Samples, ...]]:
    rows_of = shard_indices(train.Y, options.agents, options.partition, options.seed)
    train = train.take(np.concatenate(rows_of))
    ends = np.cumsum([len(rows) for rows in rows_of]).tolist()
    starts = [0, *ends[:-1]]
    return train, test, tuple(train.take(slice(*bounds)) for bounds in zip(starts, ends, strict=True))
