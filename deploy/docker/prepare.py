"""Keys, settings and samples of the three agents in compose.yaml, where they are not there yet.

    python prepare.py [AGENTS [STATES]]

Each agent's directory gets agent.key, agent.toml and samples.csv: a third of an example, which no other agent sees.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from p2pnet.agent.transport.keys import KeyPair, generate_keys, load_keys, write_keys

NAMES = ("agent-1", "agent-2", "agent-3")
USER = 10001
N_SAMPLES = 300
TRUE_WEIGHTS = (1.5, -2.0, 0.7)


def main(arguments: Sequence[str]) -> None:
    agents, states = (*map(Path, arguments), *map(Path, ("/agents", "/states")[len(arguments) :]))
    if all((agents / name / "agent.toml").exists() for name in NAMES):
        return
    keys = {name: own_keys(agents / name) for name in NAMES}
    for index, name in enumerate(NAMES):
        if not (agents / name / "samples.csv").exists():
            write_samples(agents / name / "samples.csv", index)
        write_settings(agents / name / "agent.toml", name, keys)
        for directory in (agents / name, states / name):
            give(directory)


def own_keys(directory: Path) -> KeyPair:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "agent.key"
    if not file.exists():
        write_keys(file, generate_keys())
    return load_keys(file)


def write_samples(file: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N_SAMPLES, len(TRUE_WEIGHTS)))
    y = X @ TRUE_WEIGHTS + np.sin(2 * X[:, 0]) + 0.1 * rng.standard_normal(N_SAMPLES)
    np.savetxt(file, np.column_stack([X, y]), fmt="%.6f", delimiter=",", header="a,b,c,y", comments="")


def write_settings(file: Path, name: str, keys: dict[str, KeyPair]) -> None:
    neighbors = ",\n".join(
        f'  {{ name = "{other}", address = "tcp://{other}:7070", public_key = \'{keys[other].public}\' }}'
        for other in NAMES
        if other != name
    )
    file.write_text(
        f"""[agent]
name = "{name}"

[network]
bind = "tcp://0.0.0.0:7070"
advertise = "tcp://{name}:7070"
neighbors = [
{neighbors},
]

[data]
source = "samples.csv"
"""
    )


def give(directory: Path) -> None:
    """Let the image's user read and write, and nobody else, where this process may decide that."""
    directory.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        for path in (directory, *directory.iterdir()):
            os.chown(path, USER, USER)
    directory.chmod(0o700)


if __name__ == "__main__":
    main(sys.argv[1:])
