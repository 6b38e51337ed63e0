"""The directory of an agent before it has an agent.toml: what is chosen for it, and what must not be there yet."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

from p2pnet.agent.options import data_options
from p2pnet.agent.transport.keys import KeyPair, generate_keys, load_keys, write_keys
from p2pnet.agent.trust.network_files import NetworkFiles
from p2pnet.catalogue.readers import is_function
from p2pnet.config import settings_of, write_config
from p2pnet.data.reading import read_file_samples
from p2pnet.errors import ConfigError, DataProblemsError

FIRST_PORT: Final = 7070
_LAST_PORT: Final = 7169
_ORIGIN: Final = "settings"


@final
class Place:
    """Where an agent is about to be set up."""

    def __init__(self, agent_toml: Path) -> None:
        """ConfigError where an agent, or a network, is there already."""
        self._agent_toml = agent_toml
        self._directory = agent_toml.absolute().parent
        self.files = NetworkFiles(self._directory / "network")
        if agent_toml.exists():
            raise ConfigError(f"{agent_toml}: there is an agent already; choose another directory")
        if self.files.exists:
            raise ConfigError(f"{self.files.path}: belongs to a network already; choose another directory")

    def complete(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The settings by `section.key`, and what they leave open: name, a free port, where key and records are.

        ConfigError where one is wrong, or the samples are not there.
        """
        chosen = {"agent.name": socket.gethostname()[:64], "network.bind": f"tcp://0.0.0.0:{_free_port()}"}
        if values.get("data.source") is None:
            raise ConfigError("this machine's samples are not named yet; add --data SOURCE")
        own = {"security.network": "network", "security.secret_key": "agent.key"}
        completed = {**chosen, **{key: value for key, value in values.items() if value is not None}, **own}
        source = settings_of(completed, _ORIGIN).data.source
        if not is_function(source) and not (self._directory / source).exists():
            raise ConfigError(f"{source}: there is no such file or directory; name the samples by --data")
        return completed

    def check_samples(self, completed: Mapping[str, Any]) -> None:
        """DataError where the samples cannot be read by these settings. A function of one's own is not called yet."""
        settings = settings_of(completed, _ORIGIN).relative_to(self._agent_toml.parent)
        if is_function(settings.data.source):
            return
        try:
            read_file_samples(data_options(settings.data))
        except DataProblemsError as error:
            check = f"p2pnet check --data {settings.data.source} --suggest --out data.toml"
            hint = f"for --settings data.toml, {check} writes what solves them"
            raise DataProblemsError(f"{error.headline}; {hint}", error.problems) from None

    def make_keys(self) -> KeyPair:
        """The agent's keys, as an earlier attempt has made them, or new ones."""
        path = self._directory / "agent.key"
        if not path.exists():
            write_keys(path, generate_keys())
        return load_keys(path)

    def write(self, completed: Mapping[str, Any]) -> None:
        """Write agent.toml; ConfigError where a setting is wrong."""
        write_config(settings_of(completed, _ORIGIN), self._agent_toml)


def _free_port() -> int:
    """The first port on which no program listens; FIRST_PORT where all are taken."""
    for port in range(FIRST_PORT, _LAST_PORT + 1):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    return FIRST_PORT
