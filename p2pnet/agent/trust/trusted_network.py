"""The network of an agent that belongs to one by records: its files, what they say, and what is told to newcomers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from p2pnet.agent.terms import Terms
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.agent.trust.doorkeeper import Doorkeeper
from p2pnet.agent.trust.network_files import NetworkFiles
from p2pnet.errors import SecurityError
from p2pnet.protocol.trust.roster import Roster


@final
@dataclass(frozen=True, slots=True)
class TrustedNetwork:
    """The network that one agent belongs to."""

    files: NetworkFiles
    roster: Roster
    terms: Terms

    @classmethod
    def load(cls, path: Path, keys: KeyPair, terms: Terms) -> TrustedNetwork:
        """SecurityError where its files are missing or damaged, or revoke the agent with these keys."""
        files = NetworkFiles(path)
        roster = files.roster()
        if keys.public in roster.revoked:
            raise SecurityError(
                f"{path}: the key of this agent was revoked; join by another invitation, in another directory"
            )
        return cls(files, roster, terms)

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """What agents compare: two networks of one name are two."""
        return {"network": f"{self.roster.genesis.name} {self.roster.genesis.short_id}"}

    def doorkeeper(self, keys: KeyPair, clock: Callable[[], float]) -> Doorkeeper:
        """What answers machines that ask to be admitted."""
        return Doorkeeper(self.files, self.roster, keys, self.terms, clock)
