"""Everything that can befall whole agents, in any order: nothing is lost, and in good weather all hang together."""

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from p2pnet.protocol.core.effects import Evaluate, RunLocalStep
from p2pnet.protocol.core.events import Evaluated, LocalStepDone, Prepared
from p2pnet.protocol.core.types import Array, FeatureStatistics
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.rounds.fingerprints import SURVEY_FIELD
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.graphs import components
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.simulation.whole_nodes import CLOCK_AT_START, WholeAgent, WholeNodes
from p2pnet.testing.problems import Shard, linear_shards
from p2pnet.training.learner import Learner, Observation

IS_LONG = os.environ.get("P2PNET_LONG_TESTS") == "1"
MAX_LEAK = 1e-10
ACCURACY = 1e-6
PROXIMAL_WEIGHT = 4.0
GOOD_WEATHER = Conditions(latency_s=0.02)
RESTART_S = 2.5
"""How long a process is gone at least before it is started with a lost state directory."""
PATIENCE_S = 300.0
"""Several of the longest pauses before a peer is dialed again that has refused a link."""

SPRY = replace(
    LAN,
    tick_s=0.1,
    probe_interval_s=0.5,
    silence_s=4.0,
    redial_grace_s=0.5,
    suspicion_s=1.0,
    contact_timeout_s=2.0,
    avoid_s=2.0,
    random_probe_interval_s=3.0,
    sync_interval_s=5.0,
)
QUICK = Timing(
    round_timeout_s=1.0,
    round_timeout_floor_s=0.1,
    round_pace_s=0.2,
    start_timeout_s=4.0,
    state_timeout_s=0.3,
    resend_s=0.2,
    resend_floor_s=0.1,
    redial_grace_s=0.5,
    silence_s=5.0,
    suspect_limit_s=5.0,
    away_limit_s=10.0,
)


class LeastSquares(Learner):
    """½ mean ‖A w − b‖² over the agent's rows, by plain gradient steps."""

    def __init__(self, A: Array, b: Array) -> None:
        self.A, self.b = A, b

    def evaluate(self, effect: Evaluate) -> Evaluated:
        return Evaluated(effect.round, self.A.T @ (self.A @ effect.params - self.b), float(len(self.b)))

    def observe(self) -> Observation:
        raise NotImplementedError

    def run_local_step(self, effect: RunLocalStep) -> LocalStepDone:
        proposal = effect.params - effect.direction / PROXIMAL_WEIGHT
        return LocalStepDone(effect.round, proposal, float(np.linalg.norm(effect.direction)), PROXIMAL_WEIGHT)


def scaled(shard: Shard, statistics: FeatureStatistics) -> tuple[Array, Array]:
    """(A, b) of one agent's samples, by the statistics of all."""
    columns = (np.column_stack(shard) - statistics.mean) / np.sqrt(statistics.variance)
    return columns[:, :-1], columns[:, -1]


def make_agent(name: str, shard: Shard) -> WholeAgent:
    columns = np.column_stack(shard)
    own = LocalStatistics(float(len(columns)), columns.mean(axis=0), columns.var(axis=0))

    def prepare(statistics: FeatureStatistics | None) -> tuple[Prepared, Learner]:
        assert statistics is not None
        learner = LeastSquares(*scaled(shard, statistics))
        return Prepared({SURVEY_FIELD: statistics.survey}, np.zeros(shard.X.shape[1])), learner

    options = RoundOptions(max_rounds=10**6, exchanges=1, momentum=0.0, tolerance=0.0, timing=QUICK)
    return WholeAgent(name=name, prepare=prepare, options=options, statistics=own, membership=SPRY, settling_s=0.5)


class AnyLife(RuleBasedStateMachine):
    """Agents that find each other or name each other; hypothesis prints the steps that replay a failure.

    The stranger is on the allow-lists or not, by the policy of the day on which an agent is started.
    """

    names = tuple(f"agent-{k}" for k in range(5))
    stranger = names[-1]
    shards: ClassVar[dict[str, Shard]] = dict(zip(names, linear_shards(5, n_samples=20), strict=True))

    @initialize(
        is_named=st.booleans(),
        max_neighbors=st.sampled_from([8, 3]),
        is_encoding=st.booleans(),
        seed=st.integers(0, 2**32 - 1),
    )
    def begin(self, is_named: bool, max_neighbors: int, is_encoding: bool, seed: int) -> None:
        self.is_named, self.max_neighbors, self.is_encoding = is_named, 8 if is_named else max_neighbors, is_encoding
        self.nodes = WholeNodes(replace(GOOD_WEATHER, is_encoding=is_encoding), seed)
        self.is_stranger_welcome = True
        self.penalties = dict.fromkeys(self.names, "none")
        self.configured: dict[str, WholeAgent] = {}
        for name in self.names[:3]:
            self.start(name)

    def start(self, name: str) -> None:
        """Start with the settings of the day."""
        others = [other for other in self.names if other != name]
        welcome = [other for other in others if self.is_stranger_welcome or self.stranger not in (name, other)]
        agent = replace(
            make_agent(name, self.shards[name]),
            fingerprint={"penalty": self.penalties[name]},
            seeds=() if self.is_named else [other for other in self.names[:2] if other != name],
            neighbors=welcome if self.is_named else (),
            # A seed is always welcome.
            allowed=frozenset(welcome),
            max_neighbors=self.max_neighbors,
        )
        self.configured[name] = agent
        self.nodes.start(agent)

    @property
    def living(self) -> list[str]:
        return sorted(self.nodes.names)

    @property
    def absent(self) -> list[str]:
        return [name for name in self.names if name not in self.living]

    def run_checked(self, duration_s: float) -> None:
        n_events = 0

        def is_broken() -> bool:
            nonlocal n_events
            n_events += 1
            return n_events % (50 if IS_LONG else 200) == 0 and self.nodes.conservation_error() > MAX_LEAK

        self.nodes.simulator.run(until=is_broken, deadline=self.nodes.now + duration_s)
        assert self.nodes.conservation_error() <= MAX_LEAK

    @rule(duration_s=st.sampled_from([0.02, 0.2, 1.0, 4.0]))
    def time_passes(self, duration_s: float) -> None:
        self.run_checked(duration_s)

    @rule(
        loss_rate=st.sampled_from([0.0, 0.2, 0.6]),
        duplicate_rate=st.sampled_from([0.0, 0.5]),
        max_delay_s=st.sampled_from([0.0, 0.03, 0.3]),
    )
    def weather_changes(self, loss_rate: float, duplicate_rate: float, max_delay_s: float) -> None:
        self.nodes.simulator.conditions = replace(
            GOOD_WEATHER,
            loss_rate=loss_rate,
            duplicate_rate=duplicate_rate,
            max_delay_s=max_delay_s,
            is_encoding=self.is_encoding,
        )

    @precondition(lambda self: len(self.living) > 1)
    @rule(data=st.data(), how=st.sampled_from(["crash", "leave", "away"]))
    def end(self, data: st.DataObject, how: str) -> None:
        name = data.draw(st.sampled_from(self.living))
        match how:
            case "crash":
                self.nodes.crash([name])
            case "leave":
                self.nodes.leave(name)
            case "away":
                self.nodes.go_away(name)

    @precondition(lambda self: self.absent)
    @rule(data=st.data(), is_state_lost=st.booleans())
    def join_or_return(self, data: st.DataObject, is_state_lost: bool) -> None:
        name = data.draw(st.sampled_from(self.absent))
        if is_state_lost:
            self.lose_state(name)
        self.start(name)

    @precondition(lambda self: self.living)
    @rule(data=st.data())
    def restart_at_once(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.living))
        self.nodes.crash([name])
        self.start(name)

    @rule(data=st.data(), penalty=st.sampled_from(["none", "l2"]))
    def settings_change(self, data: st.DataObject, penalty: str) -> None:
        """From the next start on."""
        self.penalties[data.draw(st.sampled_from(self.names))] = penalty

    @rule(is_stranger_welcome=st.booleans())
    def policy_changes(self, is_stranger_welcome: bool) -> None:
        self.is_stranger_welcome = is_stranger_welcome

    @rule(size=st.integers(1, 4))
    def cut(self, size: int) -> None:
        self.nodes.cut([self.names[:size], self.names[size:]])

    @rule()
    def heal(self) -> None:
        self.nodes.heal()

    def lose_state(self, name: str) -> None:
        """With a clock that is past the last incarnation, as it is where processes are not started all the time."""
        last = self.nodes.incarnation(name)
        self.nodes.lose_state(name)
        self.run_checked(max(RESTART_S, last + RESTART_S - CLOCK_AT_START - self.nodes.now))

    @invariant()
    def nothing_is_lost(self) -> None:
        if self.configured_yet:
            assert self.nodes.conservation_error() <= MAX_LEAK

    @invariant()
    def only_those_train_together_that_scale_alike(self) -> None:
        if not self.configured_yet:
            return
        for one in self.living:
            for other in self.nodes.linked(one):
                if other in self.living and one in self.nodes.linked(other):
                    assert self.survey(one) == self.survey(other)

    @property
    def configured_yet(self) -> bool:
        return bool(vars(self).get("configured"))

    def survey(self, name: str) -> str:
        statistics = self.nodes.statistics(name)
        return "" if statistics is None else statistics.survey

    def are_compatible(self, one: str, other: str) -> bool:
        """Whether their settings let them train together, if they scale alike."""
        a, b = self.configured[one], self.configured[other]
        return a.fingerprint == b.fingerprint and a.admits(other) and b.admits(one)

    def expected_parts(self, *, is_apart: bool) -> list[set[str]]:
        """Who is to hang together: all that can, but for those that have ended their statistics apart."""

        def belong(one: str, other: str) -> bool:
            # An agent still in the stage is told what the others have found.
            is_alike = not is_apart or len({self.survey(one), self.survey(other), ""}) < 3
            return one != other and is_alike and self.are_compatible(one, other)

        return components({one: [other for other in self.living if belong(one, other)] for one in self.living})

    def is_settled(self, parts: Iterable[set[str]]) -> bool:
        """Whether each part hangs together and has the solution of its samples; one that is alone has none to learn
        with, and need not have begun."""
        return all(self.is_solved(part) for part in parts if len(part) > 1)

    def is_solved(self, part: set[str]) -> bool:
        views = {name: self.nodes.linked(name) & part for name in part}
        if len(components(views)) > 1:
            return False
        first, *_ = part
        statistics = self.nodes.statistics(first)
        if statistics is None:
            return False
        rows = [scaled(self.shards[name], statistics) for name in sorted(part)]
        A, b = np.vstack([A for A, _ in rows]), np.concatenate([b for _, b in rows])
        solution = np.linalg.lstsq(A, b, rcond=None)[0]
        size = float(np.linalg.norm(solution))
        return all(float(np.linalg.norm(self.nodes.params(name) - solution)) < ACCURACY * size for name in part)

    def settle(self, *, is_apart: bool) -> None:
        self.nodes.run_until(lambda: self.is_settled(self.expected_parts(is_apart=is_apart)), PATIENCE_S, every_s=1.0)
        parts = self.expected_parts(is_apart=is_apart)
        stands = {name: (self.survey(name), self.nodes.round(name), self.nodes.linked(name)) for name in self.living}
        assert self.is_settled(parts), (parts, stands)
        assert self.nodes.conservation_error() <= MAX_LEAK

    def teardown(self) -> None:
        """In good weather again all that can train together do, but for parts that have ended their statistics apart;
        and those do once all agents of all parts but one have been stopped, and started again.
        """
        if not self.configured_yet:
            return
        self.nodes.simulator.conditions = replace(GOOD_WEATHER, is_encoding=self.is_encoding)
        self.nodes.heal()
        for name in self.absent:
            self.start(name)
        self.settle(is_apart=True)
        together, apart = self.expected_parts(is_apart=False), self.expected_parts(is_apart=True)
        if len(together) == len(apart):
            return
        for part in together:
            stays = max((group for group in apart if group <= part), key=len)
            for name in sorted(part - stays):
                self.nodes.crash([name])
            self.run_checked(RESTART_S)
            for name in sorted(part - stays):
                self.nodes.start(self.configured[name])
        self.settle(is_apart=False)


TestAnyLife = pytest.mark.timeout(0 if IS_LONG else 600)(AnyLife.TestCase)
TestAnyLife.settings = settings(
    max_examples=200 if IS_LONG else 3,
    stateful_step_count=50 if IS_LONG else 30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
