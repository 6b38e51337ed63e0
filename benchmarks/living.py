"""How much sooner a model that follows its data is there than one that is trained from nothing.

Eight real agents on a ring with chords keep running. A fifth of all rows arrives at one agent once training has
finished: any rows, where all are dealt at random, or those with labels that none has seen, where they are dealt sorted.
Beside it the same agents begin with all of these rows. Both are measured to one objective, 1 % above the larger of the
two that they end with.
"""

import tempfile
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from benchmarks.base import Benchmark, Figure
from benchmarks.data import KIN8NM
from p2pnet.data.datasets import load_dataset
from p2pnet.data.samples import Samples
from p2pnet.testing import Fleet, LocalAgent
from p2pnet.testing.introductions import by_graph
from p2pnet.testing.problems import Array, Shard

N_AGENTS = 8
EDGES = [(k, (k + 1) % N_AGENTS) for k in range(N_AGENTS)] + [(0, 4), (1, 3), (5, 7)]
RECEIVER = 2
ARRIVING = 0.2
"""Of all rows."""
MARGIN = 1.01
AT_MOST = 0.5
"""Of the rounds and seconds from nothing."""
PATIENCE_S = 300.0
SERVING: Mapping[str, Any] = {
    "service.keep_running": True,
    "service.watch_interval_s": 0.5,
    "objective.penalty": "l2:1e-3",
    "network.max_diameter": N_AGENTS,
}


@dataclass(frozen=True, slots=True)
class Course:
    """How an epoch went: the network's objective by round, and the seconds since its first round."""

    objectives: Array
    seconds: Array
    began_at: float
    """seconds since 1970"""

    @classmethod
    def of(cls, agents: Sequence[LocalAgent], shards: Sequence[Shard], since_round: int) -> "Course":
        """The mean of all agents' objectives on their own rows, weighted by these, in the rounds after one."""
        of_all = [[record for record in agent.files.records() if record.round > since_round] for agent in agents]
        n_rounds = min(len(records) for records in of_all)
        weights = [len(shard.y) for shard in shards]
        objectives = [[record.objective_local for record in records[:n_rounds]] for records in of_all]
        times = np.array([[record.time_s for record in records[:n_rounds]] for records in of_all])
        began_at = float(times[:, 0].min())
        return cls(np.average(objectives, axis=0, weights=weights), times.max(axis=0) - began_at, began_at)

    def until(self, objective: float) -> tuple[int, float]:
        """The rounds and seconds after which the network's objective is this, or less."""
        first = int(np.argmax(self.objectives <= objective))
        return first + 1, float(self.seconds[first])


class Update(Benchmark):
    """Rounds and seconds in which the models of real agents follow rows that arrive, beside training from nothing."""

    hidden: ClassVar[tuple[int, ...]]

    is_unseen: ClassVar[bool]
    """whether the rows that arrive have labels that none has seen"""

    @abstractmethod
    def samples(self) -> Samples:
        """All rows."""

    n_deals: ClassVar[int] = 1
    """in how many ways the rows are dealt, one after another"""

    def run(self, is_small: bool) -> Iterator[Figure]:
        samples = self.samples()
        if is_small:
            samples = samples.take(np.arange(0, len(samples.Y), 8))
        of_rounds, of_seconds = [], []
        for seed in range(1 if is_small else self.n_deals):
            following, anew, arrived_at = self.courses(samples, seed)
            objective = MARGIN * max(following.objectives[-1], anew.objectives[-1])
            (rounds, seconds), (rounds_anew, seconds_anew) = following.until(objective), anew.until(objective)
            of_rounds.append(rounds / rounds_anew)
            of_seconds.append(seconds / seconds_anew)
            of_deal = f"deal {seed}: "
            yield Figure(f"{of_deal}objective when the rows have come", float(following.objectives[0]))
            yield Figure(f"{of_deal}the highest since", float(following.objectives.max()))
            yield Figure(f"{of_deal}objective in the end", float(following.objectives[-1]))
            yield Figure(f"{of_deal}objective in the end, from nothing", float(anew.objectives[-1]))
            yield Figure(f"{of_deal}rounds until it follows", rounds)
            yield Figure(f"{of_deal}rounds from nothing", rounds_anew)
            yield Figure(f"{of_deal}seconds of training until it follows", seconds, "s")
            yield Figure(f"{of_deal}seconds of training from nothing", seconds_anew, "s")
            waited_s = following.began_at - arrived_at
            yield Figure(f"{of_deal}seconds from the file's replacement to the first round", waited_s, "s")
        yield Figure("part of the rounds, median", float(np.median(of_rounds)), at_most=AT_MOST)
        yield Figure("part of the rounds, worst", max(of_rounds))
        yield Figure("part of the seconds, median", float(np.median(of_seconds)), at_most=AT_MOST)
        yield Figure("part of the seconds, worst", max(of_seconds))

    def courses(self, samples: Samples, seed: int) -> tuple[Course, Course, float]:
        """How agents follow the rows that come, how agents train that have them all along, and when the rows came."""
        before, after = deal(samples, is_unseen=self.is_unseen, seed=seed)
        settings = {**SERVING, "model.hidden": self.hidden, "data.task": samples.task}
        if samples.classes:
            settings["data.classes"] = [*samples.classes]
        following, arrived_at = course_of_following(before, after, settings)
        return following, course_anew(after, settings), arrived_at


def deal(samples: Samples, *, is_unseen: bool, seed: int) -> tuple[list[Shard], list[Shard]]:
    """The agents' rows before and after the arrival: those that are seen already are drawn with a seed."""
    y = np.array(samples.classes)[samples.Y] if samples.classes else samples.Y.ravel()
    order = np.argsort(y, kind="stable") if is_unseen else np.random.default_rng(seed).permutation(len(y))
    first, arriving = np.split(order, [round((1.0 - ARRIVING) * len(order))])
    rows_of = np.array_split(first, N_AGENTS)
    before = [Shard(samples.X[rows], y[rows]) for rows in rows_of]
    after = list(before)
    rows = np.concatenate([rows_of[RECEIVER], arriving])
    after[RECEIVER] = Shard(samples.X[rows], y[rows])
    return before, after


def course_of_following(
    before: Sequence[Shard], after: Sequence[Shard], settings: Mapping[str, Any]
) -> tuple[Course, float]:
    """How the agents train on, and when the rows have come."""
    with tempfile.TemporaryDirectory(prefix="p2pnet-") as directory:
        fleet = Fleet.create(Path(directory), N_AGENTS, by_graph(EDGES), settings, shards=before)
        with fleet:
            fleet.start()
            fleet.until(lambda: epochs(fleet) == {0}, PATIENCE_S)
            time.sleep(10.0)  # the least time between two epochs
            finished_in = max(agent.round for agent in fleet.agents)
            arrived_at = time.time()
            fleet[RECEIVER].files.write_samples(after[RECEIVER])
            fleet.until(lambda: epochs(fleet) == {1}, PATIENCE_S)
            return Course.of(fleet.agents, after, finished_in), arrived_at


def course_anew(shards: Sequence[Shard], settings: Mapping[str, Any]) -> Course:
    with tempfile.TemporaryDirectory(prefix="p2pnet-") as directory:
        fleet = Fleet.create(Path(directory), N_AGENTS, by_graph(EDGES), settings, shards=shards)
        with fleet:
            fleet.start()
            fleet.until(lambda: epochs(fleet) == {0}, PATIENCE_S)
            return Course.of(fleet.agents, shards, -1)


def epochs(fleet: Fleet) -> set[int]:
    """Those of the models that there are; −1 for an agent without one."""
    has_model = [agent.has_said("the model is in") for agent in fleet.agents]
    return {
        int(agent.files.model().get("epoch", 0)) if is_there else -1
        for agent, is_there in zip(fleet.agents, has_model, strict=True)
    }


class OfDigits(Update):
    """An update of the digits."""

    hidden = (32,)

    @final
    def samples(self) -> Samples:
        return load_dataset("digits", None, "auto", 0)[0]


@final
class DigitsUpdate(OfDigits):
    """How soon eight real agents follow a fifth of the digits that arrives at one, beside training from nothing."""

    name = "update-digits"
    is_unseen = False
    n_deals = 5


@final
class UnseenDigitsUpdate(OfDigits):
    """How soon eight real agents learn two digits that arrive at one, beside training from nothing."""

    name = "update-unseen-digits"
    is_unseen = True


@final
class Kin8nmUpdate(Update):
    """How soon eight real agents learn kin8nm's largest fifth that arrives at one, beside training from nothing."""

    name = "update-kin8nm"
    hidden = (20,)
    is_unseen = True

    def samples(self) -> Samples:
        return load_dataset(str(KIN8NM), None, "auto", 0)[0]
