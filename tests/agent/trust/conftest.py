"""A network on this disk, with one agent."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from p2pnet.agent.trust.founding import Founded, found
from p2pnet.agent.trust.managing import Management


@dataclass(frozen=True)
class Home:
    """The directory of an agent that belongs to a network."""

    directory: Path
    founded: Founded

    @property
    def agent_toml(self) -> Path:
        return self.directory / "agent.toml"

    @property
    def records(self) -> Path:
        return self.directory / "network" / "records"

    def management(self) -> Management:
        """As read from disk."""
        return Management(self.directory / "network", self.directory / "agent.key")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    directory = tmp_path / "ann"
    directory.mkdir()
    (directory / "samples.csv").write_text("x,y\n1,2\n2,4\n")
    founded = found("ward", directory / "agent.toml", {"agent.name": "ann", "data.source": "samples.csv"})
    return Home(directory, founded)
