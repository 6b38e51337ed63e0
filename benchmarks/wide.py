"""Processor seconds and rounds where inputs and parameters are many, beside D-PSGD with momentum on the same shards.

Seconds are those of all learners together: evaluations and local steps, or minibatches and mixing. Rounds count until
the worst agent is there.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.base import Benchmark, Figure
from benchmarks.data import IMAGES
from p2pnet.data.samples import Samples
from p2pnet.data.sharding import PartitionName
from p2pnet.experiments.simulate.learners import learner_maker
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.workload import make_simulated_workload
from p2pnet.experiments.topologies.by_name import make_graphs
from p2pnet.experiments.workload import Workload
from p2pnet.optim.arrays import AnyArray, IndexArray
from p2pnet.optim.penalties.base import SmoothPenalty
from p2pnet.protocol.core.effects import Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Evaluated, LocalStepDone
from p2pnet.simulation.graphs import neighbors_of
from p2pnet.simulation.network import Graphs, Plan, Protocol, train_network
from p2pnet.simulation.recording import Recorder
from p2pnet.training.learner import Learner, Observation

N_AGENTS = 8
LEARNING_RATE, BATCH, MOMENTUM = 0.03, 32, 0.9
"""With these, and a pass over the samples a round, D-PSGD takes the fewest rounds on the images."""


@final
@dataclass(frozen=True, slots=True)
class Course:
    """By round, from the first: the worst agent's accuracy, and the processor seconds of all learners before it."""

    accuracy: list[float]
    seconds: list[float]

    def until(self, accuracy: float) -> tuple[float, float]:
        """Rounds and processor seconds; infinite where it was not reached."""
        reached = [k for k, value in enumerate(self.accuracy) if value >= accuracy]
        return (float(reached[0]), self.seconds[reached[0]]) if reached else (np.inf, np.inf)


@final
class TimedLearner(Learner):
    """A learner that delegates to another, and adds up the processor seconds of its computations."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self.seconds = 0.0
        self.accuracy: list[float] = []
        self.seconds_before: list[float] = []

    def evaluate(self, effect: Evaluate) -> Evaluated:
        start = time.thread_time()
        evaluated = self._learner.evaluate(effect)
        self.seconds += time.thread_time() - start
        self.accuracy.append(self._learner.observe().test_metric)
        self.seconds_before.append(self.seconds)
        return evaluated

    def observe(self) -> Observation:
        return self._learner.observe()

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        start = time.thread_time()
        done = self._learner.run_local_step(effect)
        self.seconds += time.thread_time() - start
        return done


def p2pnet_course(options: SimulateOptions, workload: Workload) -> Course:
    """Of p2pnet from defaults; evaluations count before their round, in which they are needed."""
    make_learner = learner_maker(options, workload)
    learners = [TimedLearner(make_learner(k, shard)) for k, shard in enumerate(workload.shards)]
    protocol = Protocol(
        rounds=options.rounds, exchanges=options.exchanges_used, tolerance=0.0, momentum=None, precision=32
    )
    graphs = Graphs(options.agents, make_graphs(options.topology, options.agents, np.random.default_rng(0)))
    plan = Plan(
        graphs=graphs,
        protocol=protocol,
        faults=None,
        params=workload.problem.first_params().astype(np.float64),
        make_learner=lambda k: learners[k],
        make_recorder=lambda _, learner: Recorder(learner, is_followed=False),
        seed=options.seed,
    )
    train_network(plan, 1)
    accuracy = np.min([learner.accuracy for learner in learners], axis=0)
    return Course(accuracy.tolist(), np.sum([learner.seconds_before for learner in learners], axis=0).tolist())


def dpsgd_course(workload: Workload, n_rounds: int, seed: int) -> Course:
    """Of D-PSGD (Lian et al. 2017) with momentum: a pass over the samples in minibatches, then one mixing."""
    problem = workload.problem
    rng = np.random.default_rng(seed)
    costs = [problem.local_objective(shard) for shard in workload.shards]
    model, loss, penalty = problem.model, problem.loss, problem.penalty
    if not isinstance(penalty, SmoothPenalty):
        raise TypeError(f"gradient steps need a smooth penalty, not {penalty.describe()}")
    around = neighbors_of(workload.edges, len(costs))
    params = [problem.first_params() for _ in costs]
    velocities = [np.zeros_like(w) for w in params]
    metric = problem.metric(workload.test)
    course, seconds = Course([], []), 0.0
    for _ in range(n_rounds + 1):
        course.accuracy.append(min(metric(w) for w in params))
        course.seconds.append(seconds)
        start = time.thread_time()
        for cost, w, velocity in zip(costs, params, velocities, strict=True):
            order = rng.permutation(len(cost.samples.X))
            for rows in np.split(order[: len(order) // BATCH * BATCH], len(order) // BATCH):
                batch = cost.samples.taken(rows)
                linearization = model.linearize(w, batch.X)
                slopes = loss.gradient(linearization.predictions, batch.targets)
                velocity *= MOMENTUM
                velocity += linearization.vjp(slopes)
                velocity += penalty.gradient(w)
                w -= LEARNING_RATE * velocity
        params = [(w + sum(params[j] for j in near)) / (1 + len(near)) for w, near in zip(params, around, strict=True)]
        seconds += time.thread_time() - start
    return course


Data: TypeAlias = tuple[Samples, Samples]
"""For training and testing, standardised."""


def images(seed: int, n_samples: int) -> Data:
    """Images of digits, 28 × 28."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "images.npz"
        subprocess.run([sys.executable, IMAGES, file, str(n_samples), str(seed)], check=True)
        with np.load(file) as arrays:
            return _parted(arrays["X"], arrays["y"].astype(np.intp))


def mixed_signals(seed: int, n_samples: int) -> Data:
    """500 sensors that all hear the same 30 signals, mixed and with noise; 8 classes by a random network of them."""
    rng = np.random.default_rng(seed)
    strengths = 0.92 ** np.arange(30)
    signals = rng.standard_normal((n_samples, 30))
    X = (signals * strengths) @ rng.standard_normal((30, 500)) + rng.standard_normal((n_samples, 500))
    hidden = np.tanh(signals[:, :10] @ rng.standard_normal((10, 24)) / 2)
    outputs = hidden @ rng.standard_normal((24, 8))
    return _parted(X, np.argmax(outputs - outputs.mean(axis=0), axis=1))


def _parted(given: AnyArray, classes: IndexArray) -> Data:
    """Four fifths to train on; columns standardised by those."""
    X = given.astype(np.float64)
    n_train = 4 * len(X) // 5
    deviation = X[:n_train].std(axis=0)
    X -= X[:n_train].mean(axis=0)
    X /= np.where(deviation > 0.0, deviation, 1.0)
    names = tuple(f"x{column + 1}" for column in range(X.shape[1]))
    labels = tuple(str(label) for label in range(int(classes.max()) + 1))
    train, test = (
        Samples(X[rows], classes[rows], "classification", labels, names, "class")
        for rows in (slice(n_train), slice(n_train, None))
    )
    return train, test


@dataclass(frozen=True, slots=True)
class WideSet:
    """Data with the accuracies that courses are compared at."""

    name: str
    draw: Callable[[int, int], Data]
    accuracies: tuple[float, ...]
    rounds: int


IMAGE_SET = WideSet("images", images, (0.90, 0.93, 0.95), 120)
SIGNAL_SET = WideSet("signals", mixed_signals, (0.75, 0.78, 0.79), 45)
SORTED_ACCURACY, SORTED_ROUNDS = 0.90, 45


@final
class Wide(Benchmark):
    """MLPs of 64,000 and 100,000 parameters, 8 agents on a ring: seconds and rounds in parts of D-PSGD's."""

    name = "wide"
    runs = 5
    """Seeds 3 to 7; constants were chosen on 0 to 2."""

    def __init__(self) -> None:
        self._seed = 2

    def run(self, is_small: bool) -> Iterator[Figure]:
        self._seed += 1
        sets = [SIGNAL_SET]
        if IMAGES.exists():
            sets.insert(0, IMAGE_SET)
        else:
            print(f"SKIPPED: no images, since {IMAGES} is not there", file=sys.stderr)
        with threadpool_limits(1):
            for wide_set in sets:
                yield from figures(wide_set, self._seed, is_small)


def figures(wide_set: WideSet, seed: int, is_small: bool) -> Iterator[Figure]:
    n_samples, rounds = (1_000, 3) if is_small else (10_000, wide_set.rounds)
    data = wide_set.draw(seed, n_samples)
    workload = workload_of(data, seed, rounds)
    ours, theirs = p2pnet_course(*workload), dpsgd_course(workload[1], rounds, seed)
    for accuracy in wide_set.accuracies:
        n_rounds, seconds = ours.until(accuracy)
        n_their_rounds, their_seconds = theirs.until(accuracy)
        at = f"{wide_set.name} to {accuracy:.2f}"
        yield Figure(f"{at}, rounds", n_rounds, at_most=2 / 3 * n_their_rounds, peer=n_their_rounds)
        yield Figure(f"{at}, processor seconds", seconds, "s", at_most=their_seconds, peer=their_seconds)
    if wide_set is IMAGE_SET:
        workload = workload_of(data, seed, 3 if is_small else SORTED_ROUNDS, "sorted")
        n_rounds, seconds = p2pnet_course(*workload).until(SORTED_ACCURACY)
        at = f"{wide_set.name} sorted to {SORTED_ACCURACY:.2f}"
        yield Figure(f"{at}, rounds", n_rounds, at_most=25)
        yield Figure(f"{at}, processor seconds", seconds, "s")


def workload_of(
    data: Data, seed: int, rounds: int, partition: PartitionName = "iid"
) -> tuple[SimulateOptions, Workload]:
    options = SimulateOptions(
        agents=N_AGENTS,
        topology="ring",
        partition=partition,
        hidden=(128,),
        penalty="l2:1e-4",
        rounds=rounds,
        seed=seed,
        is_float32=True,
        is_compared=False,
    )
    edges = make_graphs(options.topology, N_AGENTS, np.random.default_rng(0))[0]
    return options, make_simulated_workload(options, edges, data)
