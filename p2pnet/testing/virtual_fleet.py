"""Whole agents in virtual time, with samples of their own: as `Fleet`, but in one process, and without waiting."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, final

from p2pnet.agent.options import round_options, split_of, training_options
from p2pnet.config import settings_of
from p2pnet.data.samples import Samples
from p2pnet.data.splitting import Parts
from p2pnet.protocol.core.events import Prepared
from p2pnet.protocol.core.types import Array, FeatureStatistics, PeerId
from p2pnet.protocol.membership.timing import PRESETS
from p2pnet.simulation.observer import Observer
from p2pnet.simulation.virtual_network import Conditions
from p2pnet.simulation.whole_nodes import WholeAgent, WholeNodes
from p2pnet.testing.lies import PLAIN, Liar, parse_lie, tell
from p2pnet.testing.problems import Shard
from p2pnet.training.learner import Learner
from p2pnet.training.training import make_outline, make_training, summarize

REAL_NETWORK = Conditions(latency_s=0.05, is_encoding=True)
"""50 ms from agent to agent; messages are bytes on their way."""

VIRTUAL_REGRESSION: Mapping[str, Any] = MappingProxyType(
    {
        "data.source": "samples.npz",
        "data.task": "regression",
        "data.standardize": "network",
        "network.round_pace_s": 0.1,  # or agents that wait for others to be given up would compute all the while
        "model.hidden": (),
        "objective.penalty": "none",
        "algorithm.rounds": 100_000,
        "algorithm.tolerance": 0.0,
    }
)
"""Settings with which agents train least squares, scaled by the statistics of all, until they are told to leave."""


@final
class VirtualFleet:
    """Agents agent-1 … agent-n, agent k with shard k; `nodes` has all that can befall them and be seen of them.

    Without `neighbors`, the names of each agent's, they find each other from agent-1 and agent-2. Settings by
    `section.key` are those of agent.toml; keys and addresses have no meaning here. `own_settings` and `lies` are those
    of single agents by name.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        settings: Mapping[str, Any] | None = None,
        *,
        own_settings: Mapping[PeerId, Mapping[str, Any]] | None = None,
        neighbors: Mapping[PeerId, Sequence[PeerId]] | None = None,
        allowed: Mapping[PeerId, Collection[PeerId]] | None = None,
        lies: Mapping[PeerId, Sequence[str]] | None = None,
        conditions: Conditions = REAL_NETWORK,
        seed: int = 0,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.nodes = WholeNodes(conditions, seed, observers)
        self.shards = {f"agent-{k + 1}": shard for k, shard in enumerate(shards)}
        seeds = list(self.shards)[:2]
        self.agents: dict[PeerId, WholeAgent] = {}
        """What each runs with."""
        for name, shard in self.shards.items():
            liar = Liar(name, seed)
            told = [parse_lie(lie, liar) for lie in (lies or {}).get(name, ())]
            plain = {"network.precision": PLAIN} if told else {}
            agent = _make_agent(name, shard, {**(settings or {}), **(own_settings or {}).get(name, {}), **plain})
            named = (neighbors or {}).get(name, ())
            self.agents[name] = replace(
                agent,
                seeds=() if named else [peer for peer in seeds if peer != name],
                neighbors=named,
                options=replace(agent.options, expected_neighbors=len(named) or 1),
                allowed=(allowed or {}).get(name),
                outgoing=partial(tell, told) if told else agent.outgoing,
            )

    @property
    def names(self) -> list[PeerId]:
        """All agents, running or not."""
        return list(self.agents)

    def start(self, names: Iterable[PeerId] | None = None) -> None:
        """Start these agents, or all."""
        for name in self.names if names is None else names:
            self.nodes.start(self.agents[name])

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.nodes.run(seconds)

    def run_until(self, condition: Callable[[], bool], within_s: float = 300.0) -> bool:
        """Go on until the condition holds, at most for this virtual time; whether it holds."""
        return self.nodes.run_until(condition, within_s)

    def params(self, names: Iterable[PeerId] | None = None) -> list[Array]:
        """The parameters of these agents, or of all; they are of scaled samples where settings have them scaled."""
        return [self.nodes.params(name) for name in (self.names if names is None else names)]

    def is_training(self, names: Iterable[PeerId] | None = None) -> bool:
        """Whether all of these agents, or all, have parameters."""
        return all(self.nodes.round(name) >= 0 for name in (self.names if names is None else names))


def _make_agent(name: PeerId, shard: Shard, changes: Mapping[str, Any]) -> WholeAgent:
    settings = settings_of({**VIRTUAL_REGRESSION, "agent.name": name, **changes}, f"settings of {name}")
    training = training_options(settings, "regression")
    features = tuple(f"x{k}" for k in range(shard.X.shape[1]))
    samples = Samples(shard.X, shard.y[:, None], "regression", (), features, "y")
    split = split_of(settings.data)
    parts = Parts(samples, samples) if split is None else split.apply(samples, settings.data.seed)
    summary = summarize(training, *parts)

    def prepare(statistics: FeatureStatistics | None) -> tuple[Prepared, Learner]:
        trained = make_training(training, parts.train, parts.test, statistics, parts.validation)
        return trained.prepared, trained.learner

    return WholeAgent(
        name=name,
        prepare=prepare,
        options=round_options(settings, name),
        statistics=summary,
        fingerprint=make_outline(training, parts.train, summary).fingerprint,
        has_masks=settings.privacy.mask_statistics,
        max_neighbors=settings.network.max_neighbors,
        membership=PRESETS[settings.network.preset],
    )
