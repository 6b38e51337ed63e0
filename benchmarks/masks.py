"""What masks of the statistics stage hide from a neighbor, and what they cost. Simulated, seeded.

A neighbor that knows the graph and all weights, and follows what comes over its links, can solve for what every agent
has entered, with what its links with others are masked by. So it is given just that: of each account the sums that one
of its neighbors has entered, with the masks of that agent's other links. What of the agent's samples and means these
tell is found by regression, in networks that it was not fitted on, beside what the network's result alone tells. The
same where values are missing, of the numbers of values, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import TYPE_CHECKING, TypeAlias, final

import numpy as np

from benchmarks.base import Benchmark, Figure
from benchmarks.feature_statistics import gather
from p2pnet.experiments.topologies.by_name import make_topology
from p2pnet.protocol.core.effects import Effect, Send
from p2pnet.protocol.core.types import Array, PeerId
from p2pnet.protocol.messages.training import Share
from p2pnet.protocol.node import Node, NodeEvent
from p2pnet.protocol.rounds.masking import counts_of
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.simulation.graphs import components, neighbors_of
from p2pnet.simulation.observer import Observer
from p2pnet.simulation.rounds_only import StatisticsOnly, WiredPeering, nothing_to_train
from p2pnet.simulation.simulator import Simulator
from p2pnet.simulation.virtual_network import Conditions

if TYPE_CHECKING:
    from p2pnet.protocol.rounds.statistics import StatisticsMachine

N_NETWORKS, N_COLUMNS = 1000, 3
N_ROUNDS = {False: 60, True: 120}
"""By then all are in the last account, without masks and with them."""
N_ROUNDS_MORE = 60
"""Where values may be missing: agents ask for larger masks more often."""
EMPTY_PART, LEAST_PART = 0.15, 0.02
"""Of agents and columns, those without any value; of the samples of others, those that have one, at least."""
COSTS = [(8, "ring"), (16, "ring"), (32, "random")]
OFFSETS = (0.0, 1e2, 1e4, 1e6)
SEEDS = range(3)
AT_MOST_MORE = 0.03
"""Of R², beside what the result alone tells."""
MOST_TIMES_ROUNDS = 2.0
RIDGE = 1e-2


@final
@dataclass(frozen=True, slots=True)
class Entered:
    """What an agent has entered into one account."""

    own: Array
    masks: Mapping[PeerId, Array]
    mean: Array
    """of the reference"""
    n_values: Array
    """by column, of which masks of numbers of values are a multiple"""
    is_named_by_agent: bool

    def known_to(self, neighbor: PeerId) -> Array:
        """The sums, with the masks of the agent's links to others."""
        masks = (mask for peer, mask in self.masks.items() if peer != neighbor)
        return self.own + sum(masks, np.zeros_like(self.own))


@final
class Follower(Observer):
    """Writes down what each agent enters into each account."""

    def __init__(self, machines: Mapping[PeerId, StatisticsMachine]) -> None:
        self._machines = machines
        self._accounts: dict[PeerId, int] = {}
        self.entered: dict[PeerId, list[Entered]] = defaultdict(list)

    def started(self, now: float, peer: PeerId) -> None:
        return

    def happened(self, now: float, peer: PeerId, event: NodeEvent) -> None:
        return

    def wanted(self, now: float, peer: PeerId, effect: Effect) -> None:
        if not isinstance(effect, Send) or not isinstance(effect.message, Share):
            return
        if effect.message.account == self._accounts.get(peer):
            return
        self._accounts[peer] = effect.message.account
        machine = self._machines[peer]
        ledger = machine.ledger()
        masks = {link.peer: link.mask for link in ledger.links if link.mask is not None}
        is_own = machine.name.startswith(f"{peer} ")
        mean, n_values = np.asarray(machine.reference.mean, dtype=np.float64), counts_of(machine.reference)
        self.entered[peer].append(Entered(ledger.own, masks, mean, n_values, is_own))


@final
@dataclass(frozen=True, slots=True)
class Case:
    """One agent with two neighbors or more, and what one of them knows in the end."""

    n_samples: float
    n_values: Array
    mean: Array
    result: Array
    """what the result says of the agents that the neighbor is not between, this one among them: how many these are,
    their mean number of samples, and of each column the mean and the mean number of values, (2 + 2 n_columns,)"""
    sums: list[Array]
    """by account: what the agent has entered, with the masks of its other links"""
    references: list[Array]
    """by account: the mean of the reference"""
    named: Array | None
    """the mean of the first reference, if the agent has named it"""
    asked_for: Array | None
    """what masks of numbers of values are for by the last reference, if the agent has named it"""

    def n_entered(self, account: int, column: int) -> float:
        """The number of values that the agent has entered."""
        sums = self.sums[account]
        has_gaps = len(sums) > 2 * N_COLUMNS + 2
        return float(sums[2 * N_COLUMNS + column] if has_gaps else sums[-2])


def make_cases(seed: int, *, has_masks: bool, has_gaps: bool = False) -> list[Case]:
    """All agents of a random network of four to eight as each of their neighbors knows them; followed until the last
    account has begun.
    """
    rng = np.random.default_rng(seed)
    n_agents = int(rng.integers(4, 9))
    edges = make_topology("random", n_agents, rng)
    around = neighbors_of(edges, n_agents)
    counts = np.rint(np.exp(rng.uniform(np.log(50), np.log(500), n_agents)))
    means = rng.standard_normal((n_agents, N_COLUMNS)) + rng.standard_normal(N_COLUMNS)
    variances = rng.uniform(0.5, 1.5, (n_agents, N_COLUMNS))
    n_values = np.repeat(counts[:, np.newaxis], N_COLUMNS, axis=1)
    if has_gaps:
        parts = np.exp(rng.uniform(np.log(LEAST_PART), 0.0, n_values.shape))
        n_values = np.where(rng.uniform(size=parts.shape) < EMPTY_PART, 0.0, np.ceil(parts * n_values))
        means, variances = means * (n_values > 0.0), variances * (n_values > 0.0)
    names = [f"agent-{k} of {seed}" for k in range(n_agents)]
    sessions = {
        name: StatisticsOnly(
            Identity(name, name, 1, {}),
            RoundOptions(max_rounds=1, expected_neighbors=len(around[k])),
            LocalStatistics(float(counts[k]), means[k], variances[k], counts=n_values[k] if has_gaps else None),
            has_masks=has_masks,
        )
        for k, name in enumerate(names)
    }
    machines = {name: session.machine for name, session in sessions.items()}
    follower = Follower(machines)
    simulation = Simulator(Conditions(), observers=[follower])
    for name, session in sessions.items():
        simulation.add(name, Node(session, WiredPeering(), Random(0)), nothing_to_train)  # noqa: S311
    simulation.connect([(names[j], names[k]) for j, k in edges])
    n_rounds = N_ROUNDS[has_masks] + (N_ROUNDS_MORE if has_gaps else 0)
    simulation.run(until=lambda: machines[names[0]].round >= n_rounds)
    cases = []
    for k, name in enumerate(names):
        entered = follower.entered[name]
        for neighbor in around[k] if len(around[k]) > 1 else []:
            others = {
                one: [two for two in around[one] if two != neighbor] for one in range(n_agents) if one != neighbor
            }
            part = next(sorted(part) for part in components(others) if k in part)
            totals = np.maximum(n_values[part].sum(axis=0), 1.0)
            of_columns = [(n_values[part] * means[part]).sum(axis=0) / totals, totals / len(part)]
            result = np.concatenate([[len(part), counts[part].mean()], *of_columns])
            sums = [one.known_to(names[neighbor]) for one in entered]
            named = next((one.mean for one in entered if one.is_named_by_agent and one.mean.any()), None)
            asked_for = entered[-1].n_values if entered[-1].is_named_by_agent else None
            references = [one.mean for one in entered]
            cases.append(
                Case(float(counts[k]), n_values[k], means[k], result, sums, references, named, asked_for=asked_for)
            )
    return cases


# What is found out.

Told: TypeAlias = tuple[Array, list[float]]
"""What is known, (n, features), and what is to be found out, n numbers."""


def told_of_samples(case: Case, *, is_entered_known: bool) -> Told:
    """What tells of the number of samples, and that number."""
    n_part, per_agent, *_ = case.result
    known = [n_part, per_agent, n_part * per_agent, 1.0 / n_part]
    if is_entered_known:
        # The first account of all is of logarithms where links are masked, and of samples where they are not.
        entered = np.array([sums[-2] for sums in (case.sums[0], case.sums[-2], case.sums[-1])])
        known += [*entered, *np.clip(entered[1:] / per_agent, 0.0, n_part)]
    return np.array([known]), [case.n_samples]


def told_of_means(case: Case, *, is_entered_known: bool) -> Told:
    """By column that the agent has values of, what tells of the mean, and the mean."""
    n_part, _, *result = case.result
    rows, columns = [], [column for column in range(N_COLUMNS) if case.n_values[column] > 0.0]
    for column in columns:
        of_part, per_agent = result[column], result[N_COLUMNS + column]
        known = [of_part, n_part, per_agent]
        if is_entered_known:
            for account in (-2, -1):
                # Where nothing is masked, n_k (m_k − mean).
                n_entered = case.n_entered(account, column)
                about_part = case.sums[account][column] + (case.references[account][column] - of_part) * n_entered
                known += [about_part / per_agent, about_part / (n_entered or 1.0)]
            known += [0.0, 0.0] if case.named is None else [case.named[column] - of_part, 1.0]
        rows.append(known)
    return np.array(rows), case.mean[columns].tolist()


def told_of_values(case: Case, *, is_entered_known: bool) -> Told:
    """By column, what tells of the number of values, and that number."""
    n_part, samples_per_agent, *result = case.result
    rows = []
    for column, (of_part, per_agent) in enumerate(zip(result[:N_COLUMNS], result[N_COLUMNS:], strict=True)):
        known = [n_part, per_agent, n_part * per_agent, 1.0 / n_part, samples_per_agent, abs(of_part)]
        if is_entered_known:
            entered = np.array([case.n_entered(account, column) for account in (0, -2, -1)])
            asked_for = 0.0 if case.asked_for is None else case.asked_for[column]
            known += [*entered, *np.clip(entered[1:] / per_agent, 0.0, n_part), case.sums[-1][-2], asked_for]
        rows.append(known)
    return np.array(rows), case.n_values.tolist()


def explained(networks: Sequence[Sequence[Told]]) -> float:
    """R² in the last third of the networks of a regression by squares and products, fitted on the others."""
    features = np.concatenate([known for cases in networks for known, targets in cases if targets])
    targets = np.concatenate([targets for cases in networks for _, targets in cases])
    n_fitted = sum(len(targets) for cases in networks[: 2 * len(networks) // 3] for _, targets in cases)
    fitted, judged = slice(n_fitted), slice(n_fitted, None)
    low, high = np.quantile(features[fitted], [0.01, 0.99], axis=0)
    features = np.clip(features, low, high)
    center, spread = features[fitted].mean(axis=0), features[fitted].std(axis=0)
    features = (features - center) / np.where(spread > 0.0, spread, 1.0)
    pairs = np.triu_indices(features.shape[1])
    design = np.hstack([np.ones((len(features), 1)), features, features[:, pairs[0]] * features[:, pairs[1]]])
    gram = design[fitted].T @ design[fitted]
    ridge = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    coefficients = np.linalg.solve(gram + ridge, design[fitted].T @ targets[fitted])
    residuals = targets[judged] - design[judged] @ coefficients
    return 1.0 - float(np.mean(np.square(residuals)) / np.var(targets[judged]))


@final
class Masks(Benchmark):
    """What a neighbor finds out of samples, values and means, as R², and rounds of the statistics, with masks and
    without.
    """

    name = "masks"

    def run(self, is_small: bool) -> Iterator[Figure]:
        seeds = range(12 if is_small else N_NETWORKS)
        for has_gaps, where in ((False, ""), (True, ", with gaps")):
            plain = [make_cases(seed, has_masks=False, has_gaps=has_gaps) for seed in seeds]
            masked = [make_cases(seed, has_masks=True, has_gaps=has_gaps) for seed in seeds]
            of_values = [("values", told_of_values)] if has_gaps else []
            for what, told in (("samples", told_of_samples), *of_values, ("means", told_of_means)):
                alone = explained([[told(case, is_entered_known=False) for case in cases] for cases in plain])
                yield Figure(f"R² of {what}{where}, the result alone", alone)
                found = explained([[told(case, is_entered_known=True) for case in cases] for cases in plain])
                yield Figure(f"R² of {what}{where}, not masked", found)
                found = explained([[told(case, is_entered_known=True) for case in cases] for cases in masked])
                yield Figure(f"R² of {what}{where}, masked", found, at_most=alone + AT_MOST_MORE)
        for n_agents, graph in COSTS[:1] if is_small else COSTS:
            for offset in OFFSETS[:1] if is_small else OFFSETS:
                for has_gaps, where in ((False, ""), (True, ", with gaps")):
                    ratios = []
                    for seed in SEEDS[:1] if is_small else SEEDS:
                        n_plain, *_ = gather(n_agents, graph, offset, seed, has_masks=False, has_gaps=has_gaps)
                        n_masked, *_ = gather(n_agents, graph, offset, seed, has_masks=True, has_gaps=has_gaps)
                        ratios.append(n_masked / n_plain)
                    name = f"{n_agents} {graph}, offset {offset:.0e}{where}: rounds, masked to not masked"
                    yield Figure(name, median(ratios), "times", at_most=MOST_TIMES_ROUNDS)
