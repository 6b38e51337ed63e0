"""A release speaks with the one before: wheels of this one and of a next one, installed apart, train together.

The next one is this source tree with a later version of the protocol, in which one message has a field more. It does
not know coded shares, as releases before this one: it is sent plain numbers.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from p2pnet.testing import Fleet, least_squares, linear_shards, relative_errors

ROOT = Path(__file__).parents[2]
N_ROUNDS = 30
MARK = "READY_OF_THE_NEXT_RELEASE"
CHANGES = {
    "p2pnet/protocol/core/codec.py": {"\nPROTOCOL_VERSION = 2\n": "\nPROTOCOL_VERSION = 3\n"},
    "p2pnet/protocol/messages/training.py": {
        "(WITNESSES, REPORTS, CODED_SHARES)\n": "(WITNESSES, REPORTS)\n",
        '    """The round the sender is in; -1 before its training has begun."""\n\n\n@dataclass': (
            '    """The round the sender is in; -1 before its training has begun."""\n'
            '    mood: str = field(default="unknown", metadata={"since": 3})\n\n\n@dataclass'
        ),
        '    "nonce": read_nonce,\n': '    "nonce": read_nonce,\n    "mood": _read_text,\n',
    },
    "p2pnet/protocol/rounds/bootstrap.py": {
        "Ready(link.link_id, degree, round_)": 'Ready(link.link_id, degree, round_, "well")'
    },
    "p2pnet/protocol/rounds/handlers.py": {
        "case Ready(_, degree, round_):\n": (
            "case Ready(_, degree, round_):\n"
            f'                print("{MARK}", neighbor.version, message.mood, flush=True)\n'
        )
    },
}


def make_wheel(source: Path, target: Path) -> None:
    """Build the wheel of a source tree and unpack it where PYTHONPATH finds it."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", target / "wheels", source], check=True)
    (wheel,) = (target / "wheels").glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", target / "site", wheel], check=True)


def next_release(directory: Path) -> Path:
    """The source tree of the next release."""
    for name in ("p2pnet", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, directory / name)
    for name, replacements in CHANGES.items():
        path = directory / name
        text = path.read_text(encoding="utf-8")
        for old, new in replacements.items():
            assert old in text, f"{name} has changed: {old!r}"
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where this release and the next one are installed."""
    present, following = (tmp_path_factory.mktemp(name) for name in ("present", "following"))
    make_wheel(ROOT, present)
    make_wheel(next_release(tmp_path_factory.mktemp("source")), following)
    return present / "site", following / "site"


def test_agents_of_both_train_one_model_and_speak_the_latest_version_that_each_pair_knows(
    releases: tuple[Path, Path], tmp_path: Path
) -> None:
    shards = linear_shards(4)
    settings = {"algorithm.rounds": N_ROUNDS, "algorithm.tolerance": 0.0, "network.precision": "coded"}
    with Fleet.create(tmp_path, 4, settings=settings, shards=shards) as fleet:
        for k, agent in enumerate(fleet.agents):
            agent.start(environment={"PYTHONPATH": str(releases[k // 2])})
        for agent in fleet.agents:
            agent.finish()
        results = [agent.files.result() for agent in fleet.agents]
        assert [result.rounds for result in results] == [N_ROUNDS] * 4
        assert [result.n_messages_dropped for result in results] == [0] * 4
        solution = least_squares(shards)
        assert max(relative_errors([agent.files.params() for agent in fleet.agents], solution)) < 1e-2
        assert fleet.conservation_error() < 1e-12
        for agent in fleet.agents[:2]:
            assert MARK not in agent.log
        for agent in fleet.agents[2:]:
            said = {tuple(line.split()[1:]) for line in agent.log.splitlines() if line.startswith(MARK)}
            assert said == {("2", "unknown"), ("3", "well")}
