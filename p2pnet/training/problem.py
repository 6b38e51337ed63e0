"""From options and samples to the training problem of one agent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Protocol, final

import numpy as np

from p2pnet.catalogue.losses import LOSSES, Task
from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.data.samples import Samples
from p2pnet.data.scaling import Scaling
from p2pnet.errors import DataError
from p2pnet.optim.arrays import Array
from p2pnet.optim.blocks import partition
from p2pnet.optim.local_objective import LocalObjective, Map, serial_map
from p2pnet.optim.local_optimizer import LocalOptimizer
from p2pnet.optim.losses.base import Loss
from p2pnet.optim.losses.by_name import loss_by_name
from p2pnet.optim.metrics import accuracy, r2_of
from p2pnet.optim.models.base import Model
from p2pnet.optim.models.factory import ModelRequest, load_model
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.solvers.best_response import BestResponseSolver
from p2pnet.optim.solvers.by_name import check_solver
from p2pnet.optim.step_rules import make_step_rule
from p2pnet.optim.surrogates.by_name import surrogate_by_name
from p2pnet.training.model_file import ModelDescription, Network
from p2pnet.training.options import OptimizerOptions, ProblemOptions

METRIC_NAMES: Mapping[Task, str] = {"classification": "accuracy", "regression": "R²"}


@dataclass(frozen=True, slots=True)
class Problem:
    """Model, loss and penalty, equal at all agents whatever their samples."""

    model: Model
    loss: Loss
    penalty: Penalty
    task: Task
    seed: int

    @property
    def metric_name(self) -> str:
        return METRIC_NAMES[self.task]

    def first_params(self) -> Array:
        return self.model.init(np.random.default_rng(self.seed))

    def local_objective(self, samples: Samples, n_chunks: int = 1, chunk_map: Map = serial_map) -> LocalObjective:
        return LocalObjective(
            self.model, self.loss, samples.X, samples.Y, samples.weights, n_chunks=n_chunks, chunk_map=chunk_map
        )

    def objective(self, params: Array, cost: LocalObjective) -> float:
        """The mean loss over the samples of `cost`, plus the penalty."""
        return cost.value(params) + self.penalty.value(params)

    def n_neurons_removed(self, params: Array) -> int:
        """Hidden neurons whose fan-in weights are all 0: they put out a constant, and could be left out."""
        return sum(not (neuron.is_output or np.any(params[neuron.weights])) for neuron in self.model.neurons())

    def loss_sum(self, samples: Samples) -> tuple[Callable[[Array], float], float]:
        """(the sum of the losses of the samples as a function of the parameters, how many there are), both weighted."""
        n_samples = float(samples.n_samples if samples.weights is None else samples.weights.sum())
        if not n_samples:
            return (lambda _: 0.0), 0.0
        cost = self.local_objective(samples)
        return (lambda params: n_samples * float(cost.value(params))), n_samples

    def metric(self, samples: Samples) -> Callable[[Array], float]:
        """Accuracy, or R², on the samples as a function of the parameters; not a number where there are none."""
        if not samples.n_samples:
            return lambda _: math.nan
        X = np.ascontiguousarray(samples.X, dtype=self.model.dtype)
        if self.task == "classification":
            return lambda params: accuracy(self.model.predict(params, X), samples.Y)
        r2 = r2_of(samples.Y)
        return lambda params: r2(self.model.predict(params, X))


class KindOfSamples(Protocol):
    """What of the samples a problem depends on; `Samples` has it."""

    @property
    def task(self) -> Task: ...
    @property
    def n_features(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


@final
@dataclass(frozen=True, slots=True)
class SampleShape:
    """A kind of samples that no agent has."""

    task: Task
    n_features: int
    n_outputs: int
    shape: tuple[int, ...] = ()
    """of one sample; empty where it is a row of a table"""


def make_problem(options: ProblemOptions, samples: KindOfSamples) -> Problem:
    """The problem that the options and the kind of the samples define."""
    loss = loss_by_name(options.loss, asdict(options))
    n_outputs = 1 if LOSSES[options.loss].has_one_output else samples.n_outputs
    model: Model = (
        load_model(
            options.factory,
            ModelRequest(samples.n_features, n_outputs, samples.shape, options.device),
            options.arguments,
        )
        if options.factory
        else Mlp((samples.n_features, *options.hidden, n_outputs), options.activation, np.dtype(options.precision))
    )
    term = PENALTIES.parse(options.penalty)
    penalty = penalty_by_name(term.name, model, *term.numbers, is_bias_penalized=options.penalize_biases)
    return Problem(model, loss, penalty, samples.task, options.seed)


def check_outputs(problem: Problem, options: ProblemOptions, samples: KindOfSamples) -> None:
    """DataError where the model has not the outputs that samples with all labels of the network need."""
    n_outputs = 1 if LOSSES[options.loss].has_one_output else samples.n_outputs
    if problem.model.n_outputs != n_outputs:
        what = f"{n_outputs} labels need {n_outputs}" if n_outputs > 1 else f"loss {options.loss} needs 1"
        raise DataError(
            f"model.factory: {problem.model.describe()} has {problem.model.n_outputs} outputs, and {what}; a parameter "
            "of the factory that is called n_outputs is given their number"
        )


def worker_map(n_workers: int) -> Map:
    """The map of a pool of so many threads, which end when the map is no longer referenced; serial for one."""
    return ThreadPoolExecutor(n_workers, thread_name_prefix="worker").map if n_workers > 1 else serial_map


def check_optimizer(problem: Problem, options: OptimizerOptions) -> None:
    """ConfigError where the solver is not for the penalty or the surrogate."""
    check_solver(options.solver, problem.penalty, options.surrogate)


def make_optimizer(
    problem: Problem, options: OptimizerOptions, samples: Samples, pool_map: Map = serial_map
) -> LocalOptimizer:
    """One agent's local optimiser over its own samples; `pool_map` is that of a pool of `options.workers` threads."""
    check_optimizer(problem, options)
    rule = make_step_rule(STEP_RULES.parse(options.step_rule), options.proximal_weight)
    is_in_blocks = options.blocks > 1
    blocks = partition(problem.model, options.blocks) if is_in_blocks else ()
    return LocalOptimizer(
        # Threads share the blocks, or the samples where there are none; both at once would wait for each other.
        problem.local_objective(samples, *((1, serial_map) if is_in_blocks else (options.workers, pool_map))),
        problem.penalty,
        surrogate_by_name(options.surrogate, asdict(options)),
        rule.proximal_weight,
        np.random.default_rng(problem.seed),
        solver_tolerance=options.solver_tolerance,
        max_solver_iterations=options.solver_iterations,
        response_solver=BestResponseSolver(options.solver, blocks, pool_map),
        step_sizes=rule.step_size,
    )


def describe_model(problem: Problem, options: ProblemOptions, samples: Samples, scaling: Scaling) -> ModelDescription:
    """What is needed to use parameters of the problem on raw rows like the samples, scaled by `scaling`."""
    return ModelDescription(
        network=_shape(problem.model, options, samples.shape),
        task=samples.task,
        classes=samples.classes,
        feature_names=samples.feature_names,
        target_name=samples.target_name,
        scaling=scaling,
        loss=options.loss,
        encoding=samples.encoding,
    )


def _shape(model: Model, options: ProblemOptions, input_shape: tuple[int, ...]) -> Network:
    if not isinstance(model, Mlp):
        return Network(
            text=model.describe(),
            precision=model.dtype.name,
            factory=options.factory or "",
            arguments=options.arguments,
            input_shape=input_shape,
        )
    activations = (*(options.activation for _ in options.hidden), "identity")
    return Network(text=model.describe(), sizes=model.sizes, activations=activations, precision=model.dtype.name)
