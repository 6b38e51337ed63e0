"""A fleet of agents on this machine that know each other and are watched together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, final

from p2pnet.agent.transport.keys import generate_keys, write_keys
from p2pnet.protocol.links import conservation
from p2pnet.testing.files import AgentFiles, Failure
from p2pnet.testing.introductions import Introduction, by_full_graph
from p2pnet.testing.local_agent import LocalAgent
from p2pnet.testing.ports import free_ports
from p2pnet.testing.problems import LINEAR_REGRESSION, Shard, linear_shards
from p2pnet.testing.processes import reap
from p2pnet.testing.waiting import PATIENCE_S, HarnessError, wait_until
from p2pnet.training.records import Result


@dataclass(frozen=True, slots=True)
class Routes:
    """The network between agents 0 … n−1: listening addresses, dialed addresses, and command wrappers."""

    bind: Callable[[int], str]
    """where agent k listens"""
    dial: Callable[[int, int], str]
    """where agent j dials agent k"""
    command: Callable[[int, Sequence[str]], list[str]]
    """the command as it is to be run for agent k; it replaces this one, so that the process keeps its id"""

    @classmethod
    def loopback(cls, n_agents: int) -> Routes:
        """Routes over free ports of 127.0.0.1."""
        addresses = [f"tcp://127.0.0.1:{port}" for port in free_ports(n_agents)]
        return cls(addresses.__getitem__, lambda _, k: addresses[k], lambda _, command: list(command))


@dataclass(frozen=True, slots=True)
class End:
    """The end of an agent's process: exit code (−n: by signal n), and the failure if the agent did not finish."""

    agent: LocalAgent
    code: int
    failure: Failure | None


@final
class Fleet:
    """Agents 0 … n−1. Leaving the context ends all that still run."""

    def __init__(self, agents: Iterable[LocalAgent], grace_s: float = 0.0) -> None:
        """`grace_s` is how long agents that are left over may take leave before they are killed, in seconds."""
        self.agents = tuple(agents)
        self._grace_s = grace_s
        self._watched: set[LocalAgent] = set()

    @classmethod
    def create(
        cls,
        directory: Path,
        n_agents: int,
        introduction: Introduction | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        shards: Sequence[Shard] | None = None,
        lies: Mapping[int, Sequence[str]] | None = None,
        routes: Routes | None = None,
    ) -> Fleet:
        """Create agents agent-1 … agent-n below the directory, on a full graph by default.

        They train linear regression, agent k on shard k, with `settings` by `section.key`. `lies` names the agents
        that lie, and their lies.
        """
        routes = routes or Routes.loopback(n_agents)
        shards = linear_shards(n_agents) if shards is None else shards
        agents = []
        for k in range(n_agents):
            files = AgentFiles(f"agent-{k + 1}", directory / f"agent-{k + 1}")
            files.directory.mkdir(parents=True)
            write_keys(files.key, generate_keys())
            files.write_samples(shards[k])
            wrap = partial(routes.command, k)
            agents.append(LocalAgent(files, routes.bind(k), lies=(lies or {}).get(k, ()), wrap=wrap))
        introduced = (introduction or by_full_graph())([agent.contact for agent in agents], routes.dial)
        for agent, known in zip(agents, introduced, strict=True):
            agent.configure({**LINEAR_REGRESSION, **known, **(settings or {})})
        return cls(agents)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.agents)

    def __getitem__(self, k: int) -> LocalAgent:
        return self.agents[k]

    def close(self) -> None:
        """End all agents that still run: SIGTERM and `grace_s` for all at once, then SIGKILL."""
        reap([agent.process for agent in self.agents if agent.is_running], self._grace_s)

    # What is done to the agents; to all where none are named.

    def start(self, agents: Iterable[int] | None = None, *overrides: str) -> None:
        """Start or restart agents."""
        for agent in self._named(agents):
            agent.start(*overrides)
            self._watched.add(agent)

    def stop(self, agents: Iterable[int] | None = None) -> None:
        """Send SIGTERM: the agents leave, which does not count as a failure."""
        for agent in self._named(agents):
            agent.stop()
            self._watched.discard(agent)

    def kill(self, agents: Iterable[int] | None = None) -> None:
        """Send SIGKILL and wait until the agents are gone; does not count as a failure."""
        for agent in self._named(agents):
            agent.kill()
            self._watched.discard(agent)

    def freeze(self, agents: Iterable[int] | None = None) -> None:
        """Send SIGSTOP."""
        for agent in self._named(agents):
            agent.freeze()

    def thaw(self, agents: Iterable[int] | None = None) -> None:
        """Send SIGCONT."""
        for agent in self._named(agents):
            agent.thaw()

    def _named(self, agents: Iterable[int] | None) -> list[LocalAgent]:
        return list(self.agents) if agents is None else [self.agents[k] for k in agents]

    # What becomes of them.

    @property
    def n_running(self) -> int:
        """The number of started agents whose end was not returned by `take_ends` yet."""
        return len(self._watched)

    def take_ends(self) -> list[End]:
        """The ends since the last call, in the order of the agents, without those ended by `kill` or `stop`."""
        ends = []
        for agent in self.agents:
            if agent in self._watched and (code := agent.poll()) is not None:
                self._watched.discard(agent)
                ends.append(End(agent, code, agent.files.failure(code)))
        return ends

    def has_ended(self, k: int) -> bool:
        """Whether agent k has been started and its process is gone; HarnessError if any agent has failed."""
        self.look_for_failures()
        return not self.agents[k].is_running

    def look_for_failures(self) -> None:
        """Raise HarnessError if an agent has failed; ends by `kill` or `stop` are no failures."""
        for end in self.take_ends():
            if end.failure is not None:
                raise HarnessError(f"{end.agent.name} failed: {end.failure}")

    def until(self, is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait until a condition holds; HarnessError on timeout, or when an agent fails meanwhile."""

        def is_so_by_now() -> bool:
            if is_so():
                return True
            self.look_for_failures()
            return False

        wait_until(is_so_by_now, self._rounds, patience_s)

    def until_round(self, round_: int, agents: Collection[int] | None = None, patience_s: float = PATIENCE_S) -> None:
        """Wait until the given agents, or all, have begun the round."""
        named = self._named(agents)
        self.until(lambda: all(agent.round >= round_ for agent in named), patience_s)

    def until_all_end(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until all agents that run have ended; HarnessError unless they do so in good order and in time."""
        self.until(lambda: not self.n_running, patience_s)
        self.look_for_failures()

    def run(self, patience_s: float = PATIENCE_S) -> list[Result]:
        """Start all agents, wait until all have finished, and return their results."""
        self.start()
        self.until_all_end(patience_s)
        return [agent.files.result() for agent in self.agents]

    def conservation_error(self, agents: Collection[int] | None = None) -> float:
        """The conservation error of the ledgers that the given agents, or all, have saved at their end; see
        `p2pnet.protocol.links.conservation`.

        It is meaningful for agents that end together. An agent whose neighbor was killed keeps serving for that member
        for `network.finish_timeout_s`, and has closed its links with those that ended earlier by then.
        """
        return conservation.conservation_error([agent.files.ledger() for agent in self._named(agents)])

    def _rounds(self) -> str:
        rounds = ", ".join(f"{agent.name} in {agent.round}" for agent in self.agents)
        return f"what is expected of the fleet; rounds: {rounds}"
