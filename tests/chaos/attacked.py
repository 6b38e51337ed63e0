"""What strangers and bad members can do to a running agent: three real agents train, and one of them is attacked.

Of each attack: whether the agents trained on to the end, whether the attack was counted in result.json and named in the
log, and whether the model is the one of an undisturbed run. The attacker has no key at first, then one that is not
allowed, and then one that is.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from p2pnet.agent.history import read_history
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.keys import KeyPair, generate_keys, write_keys
from p2pnet.config import AgentSettings, LogSettings, NeighborSettings, Settings, write_config
from p2pnet.experiments.demo.fleet import free_ports
from p2pnet.optim.arrays import Array
from p2pnet.training.records import Result
from tests.chaos.attacks import FORGED_LINE, LOG_PATIENCE_S, Attack, Target
from tests.chaos.processes import AgentProcess
from tests.chaos.table import Row

N_AGENTS = 3
N_FEATURES = 4
N_ROUNDS = 250
PACE_S = 0.02
PACE_AT_ONCE_S = 0.06
PATIENCE_S = 120.0


# -------------------------------------------------------------------------------------------------- the network


class Network:
    """Three agents on this machine, all neighbors of each other, with the same data in every run."""

    def __init__(self, directory: Path, keys: Sequence[KeyPair], insider: KeyPair, pace_s: float) -> None:
        names = [f"agent-{k + 1}" for k in range(N_AGENTS)]
        ports = free_ports(N_AGENTS)
        addresses = [f"tcp://127.0.0.1:{port}" for port in ports]
        self.directories = [directory / name for name in names]
        self.target = Target(ports[0], keys[0].public, insider, N_FEATURES + 1)
        for k, (name, home) in enumerate(zip(names, self.directories, strict=True)):
            home.mkdir(parents=True)
            write_keys(home / "agent.key", keys[k])
            rng = np.random.default_rng(k)
            X = rng.standard_normal((50, N_FEATURES))
            np.savez(home / "samples.npz", X=X, y=X.sum(axis=1) + 0.3 * rng.standard_normal(50))
            others = [j for j in range(N_AGENTS) if j != k]
            settings = Settings.model_validate(
                {
                    "agent": AgentSettings(name=name, state_dir=Path()),
                    "network": {
                        "bind": addresses[k],
                        "neighbors": [
                            NeighborSettings(address=addresses[j], public_key=keys[j].public) for j in others
                        ],
                        "round_pace_s": pace_s,
                    },
                    "security": {"allowed_peers": (insider.public,)},
                    "data": {"source": Path("samples.npz"), "task": "regression", "standardize": "none"},
                    "model": {"hidden": ()},
                    "algorithm": {"rounds": N_ROUNDS, "tolerance": 0.0},
                    "log": LogSettings(level="debug"),
                }
            )
            write_config(settings, home / "agent.toml")

    def train(self, attack: Callable[[], None]) -> bool:
        """Whether all agents trained to the end, while one was attacked from some round on."""
        with ExitStack() as at_exit:
            processes = []
            for home in self.directories:
                processes.append(AgentProcess(home / "agent.toml", home / "agent.log"))
                at_exit.callback(processes[-1].kill)
            wait_until(lambda: len(read_history(self.directories[0] / "history.csv")) > 5, PATIENCE_S)
            attack()
            wait_until(lambda: all(process.exit_code() is not None for process in processes), PATIENCE_S)
            codes = [process.exit_code() for process in processes]
        return codes == [0] * N_AGENTS and all(result.rounds == N_ROUNDS for result in self.results())

    @property
    def log(self) -> str:
        return (self.directories[0] / "agent.log").read_text()

    def has_logged(self, text: str) -> bool:
        return text in self.log

    def results(self) -> list[Result]:
        return [StateDirectory(home).load_result() for home in self.directories]

    def models(self) -> list[Array]:
        return [StateDirectory(home).load_params() for home in self.directories]


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
    for attack in attacks:
        attack.carry_out(network.target)
        wait_until(partial(network.has_logged, attack.logged), LOG_PATIENCE_S)


def wait_until(is_so: Callable[[], bool], patience_s: float) -> bool:
    give_up_at = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.01)
    return True
