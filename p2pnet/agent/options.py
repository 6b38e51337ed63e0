"""From settings to the options of each part: one function for each, the only place that knows both."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from p2pnet.agent.logs import LogOptions
from p2pnet.agent.network_options import NamedPeer, NetworkOptions
from p2pnet.agent.schedules import ScheduleOptions, make_mixing
from p2pnet.agent.transport.hosts import own_host
from p2pnet.catalogue.losses import Task
from p2pnet.config import (
    AlgorithmSettings,
    DataSettings,
    ModelSettings,
    NetworkSettings,
    ObjectiveSettings,
    Settings,
    settings_of,
    values_of_flags,
)
from p2pnet.config.addresses import split_address
from p2pnet.data.reading import DataOptions
from p2pnet.data.roles import Roles
from p2pnet.data.splitting import Split
from p2pnet.data.window import Window
from p2pnet.errors import ConfigError
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.links.tracker import N_SIGNS
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.termination import SLACK_ROUNDS
from p2pnet.protocol.rounds.timing import PRESETS
from p2pnet.training.class_weights import ClassWeights, describe
from p2pnet.training.early_stopping import Patience
from p2pnet.training.learner import Weighting
from p2pnet.training.options import OptimizerOptions, ProblemOptions, TrainingOptions


def log_options(settings: Settings) -> LogOptions:
    log = settings.log
    return LogOptions(agent=settings.agent.name, level=log.level, file=log.file, format=log.format)


def network_options(settings: Settings) -> NetworkOptions:
    network = settings.network
    neighbors = tuple(NamedPeer(peer.public_key, peer.address, peer.name) for peer in network.neighbors)
    seeds = tuple(NamedPeer(peer.public_key, peer.address) for peer in network.seeds)
    return NetworkOptions(
        bind=network.bind,
        advertise=network.advertise,
        advertised_address=_advertised(network),
        is_discovering=network.discovery != "none",
        neighbors=neighbors,
        seeds=seeds,
        allowed=frozenset({*(peer.key for peer in (*neighbors, *seeds)), *settings.security.allowed_peers}),
    )


def _advertised(network: NetworkSettings) -> str | None:
    """The address that others dial. Where a wildcard is bound it is made from the machine's name, or, where that is the
    loopback here, from the own address on the way to the first agent that is named.
    """
    address = network.advertised_address
    if network.advertise is not None or address is None or address == network.bind:
        return address
    name, port = split_address(address)
    dialed = [peer.address for peer in network.neighbors] + [seed.address for seed in network.seeds]
    named = [address for address in dialed if address is not None]
    towards = split_address(named[0])[0].strip("[]") if named else None
    return f"tcp://{own_host(name, towards)}:{port}"


def schedule_options(network: NetworkSettings, me: PeerId) -> ScheduleOptions:
    members = tuple(sorted({me, *(neighbor.public_key for neighbor in network.neighbors)}))
    return ScheduleOptions(kind=network.schedule, seed=network.schedule_seed, members=members)


def round_options(settings: Settings, me: PeerId) -> RoundOptions:
    """The options of the rounds of the agent with this key."""
    network, algorithm, security = settings.network, settings.algorithm, settings.security
    # Where partners change, or no agent waits, weight and mass are never steady.
    is_steady = network.schedule == "all" and network.round_timeout_s > 0
    return RoundOptions(
        max_rounds=algorithm.rounds,
        exchanges=algorithm.exchanges,
        is_gradient_first=algorithm.gradient_order == "before-mixing",
        n_signs=N_SIGNS if algorithm.weighting == "paper" else 0,
        expected_neighbors=len(network.neighbors) or 1,
        max_diameter=network.max_diameter,
        tolerance=algorithm.tolerance,
        keeps_running=settings.service.keep_running,
        rescale_at=settings.service.rescale_at or math.inf,
        names={neighbor.public_key: neighbor.name for neighbor in network.neighbors if neighbor.name},
        precision=network.wire_bits(algorithm.tolerance),
        is_bounded=security.bound_shares and is_steady,
        is_clipped=security.clip_parameters and is_steady,
        is_audited=security.audit_neighbors and network.schedule == "all",
        is_coded=network.is_coded,
        mixing=make_mixing(schedule_options(network, me), me),
        # What flowed in the round before came from somebody else where partners change.
        momentum=None if network.schedule == "all" else 0.0,
        timing=replace(
            PRESETS[network.preset],
            round_timeout_s=network.round_timeout_s,
            round_pace_s=network.round_pace_s,
            start_timeout_s=network.start_timeout_s,
            finish_timeout_s=network.finish_timeout_s,
            forget_s=86_400.0 * settings.service.forget_after_days,
        ),
    )


def split_of(data: DataSettings) -> Split | None:
    split = data.split
    if split is None:
        return None
    return Split(validation=split.validation, test=split.test, column=split.column, time=split.time)


def data_options(data: DataSettings, *, is_growing: bool = False) -> DataOptions:
    """ConfigError where two settings say what to test on."""
    if data.split is not None and data.test_source is not None:
        raise ConfigError("data.split and data.test_source both say what to test on; leave out one")
    return DataOptions(
        source=data.source,
        roles=Roles(
            target=data.target,
            weights=data.weights,
            features=data.features,
            ignore=data.ignore,
            categorical=data.categorical,
            dates=data.dates,
            missing=data.missing,
            task=data.task,
            classes=data.classes,
            split=split_of(data),
            window=None if data.window is None else Window.parse(data.window, time.time),
        ),
        test_source=data.test_source,
        test_fraction=data.test_fraction,
        seed=data.seed,
        is_growing=is_growing,
        encoding=data.encoding,
        delimiter=data.delimiter,
        decimal=data.decimal,
    )


def problem_options(model: ModelSettings, objective: ObjectiveSettings, task: Task) -> ProblemOptions:
    """ConfigError where the loss that is set is not for the task."""
    return ProblemOptions(
        hidden=model.hidden,
        activation=model.activation,
        precision=model.precision,
        seed=model.seed,
        factory=model.factory,
        arguments=model.arguments,
        device=model.device,
        loss=objective.loss_for(task),
        huber_delta=objective.huber_delta,
        penalty=objective.penalty,
        penalize_biases=objective.penalize_biases,
    )


def optimizer_options(algorithm: AlgorithmSettings) -> OptimizerOptions:
    return OptimizerOptions(
        surrogate=algorithm.surrogate,
        curvature_samples=algorithm.curvature_samples,
        step_rule=algorithm.step_rule,
        proximal_weight=algorithm.proximal_weight,
        solver=algorithm.solver,
        solver_iterations=algorithm.solver_iterations,
        solver_tolerance=algorithm.solver_tolerance,
        blocks=algorithm.blocks,
        workers=algorithm.workers,
    )


def _class_weights(settings: Settings, task: Task) -> ClassWeights | None:
    """ConfigError where there are no classes, or their samples cannot be counted."""
    weights = settings.objective.class_weights
    if weights is not None and task != "classification":
        raise ConfigError("objective.class_weights: a regression has no classes; leave it out")
    if weights == "balanced" and settings.data.classes is None:
        raise ConfigError(
            "objective.class_weights = balanced: needs all labels in data.classes, since their samples are counted "
            "while labels are still being found"
        )
    return weights


def _patience(settings: Settings) -> Patience | None:
    """ConfigError where nothing is held out to stop by, or no end can be agreed on."""
    algorithm, split = settings.algorithm, settings.data.split
    if algorithm.patience is None:
        return None
    if split is None or not (split.validation or split.column):
        raise ConfigError("algorithm.patience: needs rows for validation; hold some out by data.split")
    if not algorithm.tolerance:
        raise ConfigError("algorithm.patience: needs an algorithm.tolerance above 0, by which agents agree to end")
    return Patience(algorithm.patience, 2 * settings.network.max_diameter + SLACK_ROUNDS)


def _check_service(settings: Settings) -> None:
    """ConfigError where an agent that keeps running would have to find out anew what is found out once."""
    if not settings.service.keep_running:
        return
    if settings.data.standardize == "local":
        raise ConfigError(
            "service.keep_running: the scales of this machine's samples would change with them; set data.standardize = "
            "network, or none"
        )
    if settings.algorithm.patience is not None:
        raise ConfigError(
            "service.keep_running: training that goes on does not stop early; leave out algorithm.patience"
        )


def _is_rescaled(settings: Settings) -> bool:
    is_scaled = settings.data.standardize == "network" and settings.model.factory is None
    return settings.service.keep_running and is_scaled and settings.service.rescale_at > 0


def _service_text(settings: Settings) -> str:
    return "keeps running" + (f", scales anew at {settings.service.rescale_at:g}" if _is_rescaled(settings) else "")


def training_options(settings: Settings, task: Task) -> TrainingOptions:
    """ConfigError where the loss that is set is not for the task, or settings do not fit together."""
    _check_service(settings)
    data, algorithm, class_weights = settings.data, settings.algorithm, settings.objective.class_weights
    return TrainingOptions(
        problem=problem_options(settings.model, settings.objective, task),
        optimizer=optimizer_options(algorithm),
        weighting=Weighting(settings.algorithm.weighting),
        step_limit_s=math.inf if algorithm.local_step_s is None else algorithm.local_step_s,
        scaling=data.standardize,
        has_given_classes=data.classes is not None,
        is_measured=data.split is not None,
        is_rescaled=_is_rescaled(settings),
        class_weights=_class_weights(settings, task),
        patience=_patience(settings),
        source=str(data.source),
        agreed={
            "exchanges": str(algorithm.exchanges or "few, later more"),
            "gradient order": algorithm.gradient_order,
            "scaling": data.standardize,
            # Whether an agent tracks curvature its neighbors see by its capabilities.
            "weighting": "proxy" if algorithm.weighting == "auto" else algorithm.weighting,
            # Left out where it is not set, as by releases that have no such setting.
            **({} if class_weights is None else {"class weights": describe(class_weights)}),
            **({"service": _service_text(settings)} if settings.service.keep_running else {}),
            **({} if algorithm.patience is None else {"patience": str(algorithm.patience)}),
            **({} if data.split is None else {"split": f"{split_of(data)}, seed {data.seed}"}),
        },
    )


# What an agent has where nothing is set; an experiment begins with it.


def default_problem(task: Task, **changes: Any) -> ProblemOptions:
    """With the loss that is the task's, and with changes by the names of the fields."""
    return replace(problem_options(ModelSettings(), ObjectiveSettings(), task), **changes)


def default_optimizer(**changes: Any) -> OptimizerOptions:
    """With changes by the names of the fields."""
    return replace(optimizer_options(AlgorithmSettings()), **changes)


def default_tolerance() -> float:
    """The residual at which training has converged, relative to the first round's."""
    return AlgorithmSettings().tolerance


def default_exchanges() -> int | None:
    """Rounds to each local step; None: few at first, more later."""
    return AlgorithmSettings().exchanges


def wire_bits(precision: Literal["auto", "float64", "float32", "coded"], tolerance: float) -> int:
    """Bits of a number on the wire, 64 or 32, for training down to this tolerance."""
    return NetworkSettings(precision=precision).wire_bits(tolerance)


def settings_of_flags(flags: Iterable[str]) -> Mapping[str, Any]:
    """The values of flags `section.key=value`, by `section.key`; ConfigError for what no agent could have."""
    return values_of_flags(flags)


def problem_settings(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What settings by `section.key` say of the problem, by the names of the fields of `ProblemOptions`; nothing of
    what is left to the task.
    """
    settings = settings_of({"data.source": "samples.npz", **values}, "command line")
    parts = {"model": dict(settings.model), "objective": dict(settings.objective)}
    fields = [(section, name) for section, _, name in (key.partition(".") for key in values) if section in parts]
    return {name: parts[section][name] for section, name in fields if parts[section][name] != "auto"}
