"""Joining a network: asks the inviter to be admitted, and writes what it answers, a complete agent.toml among it.

Nothing of this machine is told but its public keys and its name. Nothing is taken over but records, whose signatures
are checked down to the network's id in the invitation, and the settings that all agents share (`p2pnet.agent.terms`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

from p2pnet.agent.terms import read_terms
from p2pnet.agent.transport.base import Frame, TransportLimits
from p2pnet.agent.transport.hosts import own_host, resolve
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.agent.transport.query import QueryAnswer, query
from p2pnet.agent.trust.invitation import Invitation
from p2pnet.agent.trust.network_files import NetworkFiles
from p2pnet.agent.trust.place import Place
from p2pnet.agent.trust.signing import proof, signer_of, verify
from p2pnet.config.addresses import split_address
from p2pnet.errors import ControlError, ProtocolError, SecurityError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.joining import Join, Joined, JoinRefused, decode_joining, encode_joining
from p2pnet.protocol.trust.records import Admission, Genesis, SignedRecord
from p2pnet.protocol.trust.roster import Roster

_LIMITS: Final = TransportLimits(max_frames=1, max_message_bytes=65_536, connect_timeout_s=3.0, handshake_timeout_s=5.0)
_LOOPBACK: Final = "localhost"


@final
@dataclass(frozen=True, slots=True)
class Membership:
    """What a machine has joined, and as whom."""

    genesis: Genesis
    member: Admission


@final
@dataclass(frozen=True, slots=True)
class _Inviter:
    """The agent that answers, and where."""

    key: PeerId
    network_id: bytes
    addresses: Sequence[str]


def join(line: str, agent_toml: Path, values: Mapping[str, Any], allowed_code: Iterable[str]) -> Membership:
    """Join the network of an invitation by an agent with these settings by `section.key`, and write all its files
    beside agent_toml.

    SecurityError, ConfigError or DataError where the invitation, the inviter's answer, a setting or the samples are
    wrong: then no agent.toml is written, and the same line may be used again. ControlError where the inviter cannot be
    reached.
    """
    invitation = Invitation.from_line(line)
    place = Place(agent_toml)
    own = place.complete(values)
    place.check_samples(own)
    keys = place.make_keys()
    inviter = _Inviter(invitation.inviter, invitation.network_id, invitation.addresses)
    joined, address = _ask(inviter, invitation.keys, keys, str(own["agent.name"]))
    roster = _checked(joined, invitation.network_id, invitation.inviter)
    member = _admission_of(roster, keys.public)
    told = {**read_terms(joined.settings, allowed_code), **_agents_to_begin_with(joined, inviter.key, address)}
    if joined.is_static:  # a single neighbor is named, and no more need be there
        told.pop("network.min_agents", None)
    settings = place.complete({**told, **_address_of(own, address), **own, "agent.name": member.name})
    place.files.create(roster.genesis, roster)
    place.write(settings)
    return Membership(roster.genesis, member)


def renew(files: NetworkFiles, old: KeyPair, new: KeyPair, peers: Iterable[tuple[PeerId, str]]) -> Admission:
    """Have a member that may admit and revoke replace this agent's key by a new one, and keep the record of it.

    ControlError where none of the peers, each with an address, can be reached; SecurityError where they refuse.
    """
    roster = files.roster()
    member = _admission_of(roster, old.public)
    network_id = roster.genesis.network_id
    refusals: list[SecurityError | ControlError] = []
    for peer, address in peers:
        try:
            joined, _ = _ask(_Inviter(peer, network_id, [address]), old, new, member.name)
        except (SecurityError, ControlError) as error:
            refusals.append(error)
            continue
        roster.add(SignedRecord.read(record) for record in joined.records)
        renewed = _admission_of(roster, new.public)
        files.append(record.data for record in roster)
        return renewed
    raise refusals[0] if refusals else ControlError("no other member's address is known; name seeds in agent.toml")


def _ask(inviter: _Inviter, connection: KeyPair, keys: KeyPair, name: str) -> tuple[Joined, str]:
    """The inviter's answer, and the address at which it was reached."""
    request = Join(inviter.network_id, keys.public, signer_of(keys).public, name, bytes(32))
    proved = proof(keys, inviter.key, request.transcript(connection.public))
    question = encode_joining(replace(request, proof=proved))
    problems = []
    for address in inviter.addresses:
        answer = _query(inviter.key, connection, Address.parse(address), question)
        if isinstance(answer, QueryAnswer):
            return _read(answer), address
        if answer is DialProblem.NOT_ALLOWED:
            raise SecurityError(
                f"the agent at {address} knows nothing of this invitation: it was made by another, or before a restore "
                "of that machine; ask for another"
            )
        problems.append(f"{address}: {answer or 'it does not answer'}")
    raise ControlError(
        f"the inviter cannot be reached: {'; '.join(problems) or 'no address of it is known'}; is its agent running?"
    )


def _query(
    inviter: PeerId, connection: KeyPair, address: Address, question: Sequence[Frame]
) -> QueryAnswer | DialProblem | None:
    """The answer, or why there is none: None where the inviter has not answered in time."""
    try:
        hosts = resolve(address.host)
    except (OSError, UnicodeError):
        return DialProblem.NAME_NOT_FOUND
    problem: DialProblem | None = None
    for host in hosts:
        answer = query(connection, inviter, Address(host, address.port), question, _LIMITS)
        if isinstance(answer, QueryAnswer):
            return answer
        problem = answer.problem
        if problem is DialProblem.NOT_ALLOWED:
            break
    return problem


def _read(answer: QueryAnswer) -> Joined:
    """SecurityError with the inviter's reason where it refuses."""
    try:
        message = decode_joining(answer.frames)
    except ProtocolError as error:
        raise SecurityError(f"the inviter's answer cannot be read: {error}; install its release of p2pnet") from error
    if isinstance(message, JoinRefused):
        reason = "".join(sign if sign.isprintable() else "?" for sign in message.reason)
        raise SecurityError(f"the inviter refuses: {reason}")
    if not isinstance(message, Joined):
        raise SecurityError("the inviter's answer is none; install its release of p2pnet")
    return message


def _checked(joined: Joined, network_id: bytes, inviter: PeerId) -> Roster:
    """The roster of the answer's records; SecurityError where they are not those of the invitation's network."""
    try:
        genesis = Genesis.read(joined.genesis)
        if genesis.network_id != network_id:
            raise SecurityError("the inviter's answer is that of another network than the invitation's")
        roster = Roster(genesis, verify, [SignedRecord.read(record) for record in joined.records])
    except ProtocolError as error:
        raise SecurityError(f"the inviter's records cannot be believed: {error}") from error
    if inviter not in roster.allowed:
        raise SecurityError("the inviter's records do not admit the inviter itself; join by another member")
    return roster


def _admission_of(roster: Roster, key: PeerId) -> Admission:
    record = roster.allowed.get(key)
    if record is None or not isinstance(record.fact, Admission):
        raise SecurityError(f"the records of the network {roster.genesis.name} do not admit this agent's key {key}")
    return record.fact


def _agents_to_begin_with(joined: Joined, inviter: PeerId, address: str) -> Mapping[str, Any]:
    """The inviter, and those that it begins with itself; neighbors where agents name these."""
    own = {"public_key": inviter, "address": address}
    if joined.is_static:
        return {"network.neighbors": [own]}
    others = [{"public_key": key, "address": where} for key, where in joined.seeds if key != inviter]
    return {"network.seeds": [own, *others]}


def _address_of(settings: Mapping[str, Any], inviter_address: str) -> Mapping[str, Any]:
    """Where others are to dial this agent: its address on the way to the inviter, since its name may be known nowhere;
    nothing where that is the loopback, or the settings say more.
    """
    host, port = split_address(str(settings["network.bind"])) if settings["network.bind"] != "none" else ("", 0)
    if host != "0.0.0.0" or settings.get("network.advertise"):  # noqa: S104  (recognised, not bound here)
        return {}
    found = own_host(_LOOPBACK, split_address(inviter_address)[0].strip("[]"))
    return {} if found == _LOOPBACK else {"network.advertise": f"tcp://{found}:{port}"}
