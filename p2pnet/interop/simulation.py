"""`p2pnet.simulate`: one network trained by simulated agents, from a script or a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from p2pnet import __version__
from p2pnet.catalogue.losses import loss_for
from p2pnet.catalogue.readers import has_reader
from p2pnet.data.datasets import TEST_FRACTION
from p2pnet.data.reading import read_samples
from p2pnet.data.samples import Samples
from p2pnet.data.scaling import Scaling, is_target_scaled, moments, no_scaling, scaling_by
from p2pnet.experiments.progress_line import OnRound, follow
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import Simulated
from p2pnet.experiments.simulate.run import simulate as run
from p2pnet.experiments.simulate.summary import SimulationSummary
from p2pnet.training.model_file import ModelFile, Provenance
from p2pnet.training.own_metrics import own_metrics
from p2pnet.training.problem import describe_model
from p2pnet.training.records import RoundRecord
from p2pnet.training.trained_model import TrainedModel, trained_model

GIVEN: Final = "given.npz"
"""What samples that are in memory are called in the options, where a file would be named."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a simulation leaves."""

    model: TrainedModel
    """the first agent's"""
    summary: SimulationSummary
    histories: Mapping[str, Sequence[RoundRecord]] = field(repr=False)
    """the rounds of each agent that was followed, by its name"""
    test: Samples = field(repr=False)
    """the rows that no agent trained on, as the model takes them"""


def simulate(
    data: str | Path = "digits",
    *,
    progress: bool | OnRound = True,
    **options: Any,
) -> Simulation:
    """Train one network over simulated agents in virtual time, as `p2pnet simulate` does.

    `data` is a named data set, synthetic:…, or the path of a file; `options` are the fields of `SimulateOptions`, such
    as agents=8, topology="ring", partition="sorted", hidden=(32,), penalty="l2:1e-3", rounds=500. `progress` shows a
    line, or is called with each round of the first agent. ConfigError or DataError says what is wrong.

    A model of a file predicts from raw rows. One of a named data set takes its columns as p2pnet scales that set.
    """
    asked = SimulateOptions(data=str(data), **({"is_compared": False} | options))
    if has_reader(Path(asked.data)):
        whole = read_samples(Path(asked.data), replace(asked.roles, target=asked.target, task=asked.task))
        train, test = whole.split(TEST_FRACTION, np.random.default_rng(asked.seed))
        return simulate_samples(asked, train, test, progress)
    return _simulation(asked, None, None, progress)


def simulate_samples(
    options: SimulateOptions, train: Samples, test: Samples, progress: bool | OnRound = False, *, is_scaled: bool = True
) -> Simulation:
    """The same on raw samples, scaled by mean and deviation over all agents' training samples unless told not to."""
    loss = loss_for(train.task, options.loss)
    mean, variance = moments(train, is_target_scaled(train, loss)) if is_scaled else (np.zeros(0), np.zeros(0))
    levels = train.own_levels()
    train, test = train.with_levels(levels), test.with_levels(levels)
    scaling = no_scaling(train.n_features)
    if is_scaled:
        scaling = scaling_by(mean, variance, train.n_features, sum(map(len, levels.values())))
    return _simulation(options, (train, test), scaling, progress)


def _simulation(
    options: SimulateOptions,
    samples: tuple[Samples, Samples] | None,
    scaling: Scaling | None,
    progress: bool | OnRound,
) -> Simulation:
    scaled = None
    if samples is not None and scaling is not None:
        scaled = scaling.apply(samples[0]), scaling.apply(samples[1])
    on_record, close = follow(progress)
    try:
        simulated = run(options, samples=scaled, on_record=on_record)
    finally:
        close()
    test = simulated.workload.test if samples is None else samples[1]
    histories = {agent.name: agent.history for agent in simulated.network.followed}
    is_tested = samples is None or samples[0] is not samples[1]
    model = _model(simulated, scaling or no_scaling(test.n_features), is_tested=is_tested)
    return Simulation(model, simulated.summary, histories, test)


def _model(simulated: Simulated, scaling: Scaling, *, is_tested: bool) -> TrainedModel:
    workload, first = simulated.workload, simulated.network.agents[0]
    problem = workload.problem
    description = describe_model(problem, workload.options, workload.train, scaling)
    provenance = Provenance(
        p2pnet_version=__version__,
        agent=f"{first.name} of {workload.n_agents} simulated",
        rounds=first.result.rounds,
        objective=first.history[-1].objective_local if first.history else float("nan"),
    )
    # What was trained on is no test.
    metrics = own_metrics(problem, first.params, workload.test, scaling.target_scale) if is_tested else {}
    file = ModelFile(
        params=first.params,
        description=description,
        metrics=metrics,
        provenance=provenance,
    )
    return trained_model(file, factory=workload.options.factory)
