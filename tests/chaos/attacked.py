"""What strangers and bad members can do to a running agent: three real agents train, and one of them is attacked.

Of each attack: whether the agents trained on to the end, whether the attack was counted in result.json and named in the
log, and whether the model is the one of an undisturbed run. The attacker has no key at first, then one that is not
allowed, and then one that is.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from p2pnet.agent.transport.keys import KeyPair, generate_keys, write_keys
from p2pnet.optim.arrays import Array
from p2pnet.testing.files import AgentFiles
from p2pnet.testing.fleet import Fleet
from p2pnet.testing.introductions import by_full_graph
from p2pnet.testing.local_agent import LocalAgent
from p2pnet.testing.ports import free_ports
from p2pnet.testing.problems import LINEAR_REGRESSION, linear_shard
from p2pnet.testing.waiting import HarnessError, wait_until
from p2pnet.training.records import Result
from tests.chaos.attacks import FORGED_LINE, LOG_PATIENCE_S, Attack, Target
from tests.chaos.table import Row

N_AGENTS = 3
WEIGHTS = (1.0, 1.0, 1.0, 1.0)
N_ROUNDS = 250
PACE_S = 0.02
PACE_AT_ONCE_S = 0.06
ATTACK_IN_ROUND = 5
PATIENCE_S = 120.0
SETTINGS: Mapping[str, Any] = {
    **LINEAR_REGRESSION,
    "data.test_source": None,
    "objective.penalty": None,
    "algorithm.rounds": N_ROUNDS,
    "algorithm.tolerance": 0.0,
    "log.format": "text",
    "log.level": "debug",
}


# -------------------------------------------------------------------------------------------------- the network


class Network:
    """Three agents on this machine, all neighbors of each other, with the same data in every run."""

    def __init__(self, directory: Path, keys: Sequence[KeyPair], insider: KeyPair, pace_s: float) -> None:
        ports = free_ports(N_AGENTS)
        addresses = [f"tcp://127.0.0.1:{port}" for port in ports]
        self.target = Target(ports[0], keys[0].public, insider, len(WEIGHTS) + 1)
        agents = []
        for k, pair in enumerate(keys):
            files = AgentFiles(f"agent-{k + 1}", directory / f"agent-{k + 1}")
            files.directory.mkdir(parents=True)
            write_keys(files.key, pair)
            files.write_samples(linear_shard(k, n_samples=50, weights=WEIGHTS, noise=0.3))
            agents.append(LocalAgent(files, addresses[k]))
        known = by_full_graph()([agent.contact for agent in agents], lambda _, k: addresses[k])
        for agent, neighbors in zip(agents, known, strict=True):
            own = {"security.allowed_peers": (insider.public,), "network.round_pace_s": pace_s}
            agent.configure({**SETTINGS, **neighbors, **own})
        self.fleet = Fleet(agents)

    def train(self, attack: Callable[[], None]) -> bool:
        """Whether all agents trained to the end, while one was attacked from some round on."""
        with self.fleet as fleet:
            fleet.start()
            try:
                fleet.until_round(ATTACK_IN_ROUND, [0], PATIENCE_S)
                attack()
                fleet.until_all_end(PATIENCE_S)
            except HarnessError:
                return False
        return all(result.rounds == N_ROUNDS for result in self.results())

    @property
    def log(self) -> str:
        return self.fleet[0].log

    def has_logged(self, text: str) -> bool:
        return text in self.log

    def results(self) -> list[Result]:
        return [agent.files.result() for agent in self.fleet.agents]

    def models(self) -> list[Array]:
        return [agent.files.params() for agent in self.fleet.agents]


@dataclass(frozen=True, slots=True)
class Attacked:
    """What became of an attack."""

    name: str
    is_trained_to_the_end: bool
    n_counted: int
    is_logged: bool
    difference: float

    @property
    def row(self) -> Row:
        words = ("no", "yes")
        figures = (
            f"trained on: {words[self.is_trained_to_the_end]}; counted {self.n_counted} times; "
            f"logged: {words[self.is_logged]}; difference {self.difference:.1e}"
        )
        is_kept = self.is_trained_to_the_end and self.n_counted > 0 and self.is_logged and self.difference <= 1e-12
        return Row(self.name, figures, is_kept)


@dataclass(frozen=True, slots=True)
class Siege:
    """The same training again and again, and the models of the one that was left in peace."""

    directory: Path
    keys: Sequence[KeyPair]
    insider: KeyPair
    reference: Sequence[Array]

    @classmethod
    def prepare(cls, directory: Path) -> "Siege":
        """Train once without an attack."""
        keys, insider = [generate_keys() for _ in range(N_AGENTS)], generate_keys()
        undisturbed = Network(directory / "undisturbed", keys, insider, pace_s=0.0)
        if not undisturbed.train(lambda: None):
            raise RuntimeError("the undisturbed network did not train to the end")
        return cls(directory, keys, insider, undisturbed.models())

    def carry_out(self, attacks: Sequence[Attack], pace_s: float = PACE_S) -> list[Attacked]:
        """Carry out the attacks on one training, one after the other."""
        place = self.directory / attacks[0].carry_out.__name__
        network = Network(place, self.keys, self.insider, pace_s)
        is_trained = network.train(lambda: one_after_the_other(attacks, network))
        log = network.log
        is_forged = any(line.startswith(FORGED_LINE) for line in log.splitlines())
        difference = max(float(np.abs(a - b).max()) for a, b in zip(network.models(), self.reference, strict=True))
        result = network.results()[0]
        return [
            Attacked(attack.name, is_trained, attack.count(result), attack.logged in log and not is_forged, difference)
            for attack in attacks
        ]


def one_after_the_other(attacks: Sequence[Attack], network: Network) -> None:
    """Each attack when the one before is in the log; what never gets there is told by the table."""
    for attack in attacks:
        attack.carry_out(network.target)
        with suppress(HarnessError):
            wait_until(partial(network.has_logged, attack.logged), partial(str, attack.name), LOG_PATIENCE_S)
