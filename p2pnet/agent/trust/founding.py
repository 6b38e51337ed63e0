"""The beginning of a network: its signing key, its first member, and that member's agent.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from p2pnet.agent.trust.network_files import NetworkFiles
from p2pnet.agent.trust.place import Place
from p2pnet.agent.trust.signing import Recovery, signer_of
from p2pnet.errors import ConfigError, SecurityError
from p2pnet.protocol.trust.records import MAX_NAME_LENGTH, MAX_QUOTA, Admission, Genesis, Grant


@final
@dataclass(frozen=True, slots=True)
class Founded:
    """A network that has begun."""

    genesis: Genesis
    member: Admission
    recovery_line: str = field(repr=False)


def found(name: str, agent_toml: Path, values: Mapping[str, Any]) -> Founded:
    """Begin a network, with the agent of these settings by `section.key` as its first member, and write all its files
    beside agent_toml.

    ConfigError or DataError, and nothing is written, where a setting is wrong, the samples cannot be read, or an agent
    is there already.
    """
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise ConfigError(f"--network: must be a name of 1 to {MAX_NAME_LENGTH} characters")
    place = Place(agent_toml)
    settings = place.complete(values)
    place.check_samples(settings)
    keys = place.make_keys()
    recovery = Recovery.make()
    root, genesis = recovery.root, recovery.genesis(name)
    signing_key = signer_of(keys).public
    member = Admission(keys.public, signing_key, str(settings["agent.name"]))
    grant = Grant(keys.public, signing_key, may_invite=True, may_revoke=True, quota=MAX_QUOTA)
    place.files.create(genesis, [root.sign(genesis.network_id, fact) for fact in (member, grant)])
    place.files.save_root(root)
    place.write(settings)
    return Founded(genesis, member, recovery.to_line())


def recover(files: NetworkFiles, line: str) -> Genesis:
    """Make the network's signing key anew from its recovery line; SecurityError where it is another network's."""
    root = Recovery.from_line(line).root
    genesis = files.roster().genesis
    if root.public != genesis.root:
        raise SecurityError(f"this is the recovery line of another network than {genesis.name}")
    files.save_root(root)
    return genesis
