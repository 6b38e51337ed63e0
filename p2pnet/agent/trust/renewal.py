"""Another key for an agent, in place of one that may have been copied."""

from __future__ import annotations

from pathlib import Path

from p2pnet.agent.network_options import NetworkOptions
from p2pnet.agent.transport.keys import generate_keys, load_keys, write_keys
from p2pnet.agent.trust.doorkeeper import SIGNS_FOR_THE_NETWORK
from p2pnet.agent.trust.joining import renew
from p2pnet.agent.trust.managing import Management
from p2pnet.agent.trust.signing import signer_of
from p2pnet.errors import SecurityError
from p2pnet.protocol.trust.records import Admission


def renew_key(management: Management, key_file: Path, network: NetworkOptions) -> Admission:
    """Have another member replace this agent's key, and put the new one into the key file.

    The new key is on disk before it is asked for, so that an interrupted attempt can be made again. ControlError where
    no member can be reached that is named in the settings; SecurityError where it refuses, or this agent may sign for
    the network.
    """
    if management.roster.grant(signer_of(management.keys).public) is not None:
        raise SecurityError(SIGNS_FOR_THE_NETWORK)
    draft = key_file.with_name(f"{key_file.name}.new")
    if not draft.exists():
        write_keys(draft, generate_keys())
    new = load_keys(draft)
    peers = [(peer.key, peer.address) for peer in network.named if peer.address is not None]
    admission = renew(management.files, management.keys, new, peers)
    write_keys(key_file, new, is_replacing=True)
    draft.unlink()
    return admission
