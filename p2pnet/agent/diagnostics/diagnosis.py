"""The diagnosis of one agent as text: why it cannot be reached, or why it would not train with this agent."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from p2pnet.agent.diagnostics.status import NodeStatus
from p2pnet.agent.diagnostics.status_query import Answered, query_status
from p2pnet.agent.notice_text import moment
from p2pnet.agent.transport.hosts import resolve
from p2pnet.agent.transport.keys import KeyPair
from p2pnet.agent.transport.query import Unanswered
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.codec import SPOKEN_VERSIONS
from p2pnet.protocol.core.events import DialProblem
from p2pnet.protocol.core.types import PeerId

MAX_CLOCK_DIFFERENCE_S = 120.0
_TCP_TIMEOUT_S = 4.0  # Linux takes three seconds to find out that a machine of its own network is not there
_ZMTP_SIGNATURE = (b"\xff", b"\x7f")  # its first and its tenth byte


class Outcome(StrEnum):
    FINE = "fine"
    WRONG = "wrong"
    DOUBTFUL = "doubtful"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    outcome: Outcome
    subject: str
    """what was checked: a section of the settings, or an agent"""
    words: str
    """the result as text, and what to do about it"""


@dataclass(frozen=True, slots=True)
class Target:
    """An agent to send a status query to, and its addresses."""

    name: str
    peer: PeerId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examination:
    """Sends status queries, and compares the answers with this agent's fingerprint, version, incarnation and clock."""

    keys: KeyPair
    fingerprint: Mapping[str, str] | None
    """this agent's; None where its data cannot be read"""
    incarnation: int
    has_records: bool
    """whether this agent belongs to a network with records, by which keys are let in"""

    def findings(self, target: Target) -> list[Finding]:
        """All findings about one agent."""
        reached, answer = self._reach(target)
        if answer is None:
            return [reached]
        return [reached, *self._compared(target.name, answer)]

    def _reach(self, target: Target) -> tuple[Finding, Answered | None]:
        """The finding at the first address that answers, else the finding at the first address."""
        failures = []
        for address in target.addresses:
            finding, answer = self._ask(target, address)
            if answer is not None:
                return finding, answer
            failures.append(finding)
        return failures[0], None

    def _ask(self, target: Target, address: str) -> tuple[Finding, Answered | None]:
        where = Address.parse(address)
        try:
            hosts = resolve(where.host)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a host name"
            words = f"the name {where.host} does not resolve ({reason}): correct it, or give an address in numbers"
            return Finding(Outcome.WRONG, target.name, words), None
        reasons = []
        for host in hosts:
            place = Address(host, where.port)
            answer = query_status(self.keys, target.peer, place)
            if isinstance(answer, Answered):
                return Finding(Outcome.FINE, target.name, _in_touch(answer, place)), answer
            reasons.append(f"{place}: {self._why_unanswered(answer, place)}")
        return Finding(Outcome.WRONG, target.name, "; ".join(reasons)), None

    def _why_unanswered(self, answer: Unanswered, where: Address) -> str:
        match answer.problem:
            case DialProblem.NOT_ALLOWED:
                return f"it does not allow our key: {self._how_to_be_allowed()}: '{self.keys.public}'"
            case DialProblem.NOT_THE_PEER:
                return _who_else_is_there(where)
            case None:
                return "it holds its key and then says nothing: it is too busy, or its p2pnet is too old to answer"
            case _ if answer.is_tcp_connected:
                return "it takes the connection and then says nothing: that program has been stopped, or hangs"
            case _:
                return _why_no_connection(where)

    def _how_to_be_allowed(self) -> str:
        if not self.has_records:
            return "put it into its security.allowed_peers or among its neighbors, and restart it"
        return (
            "either it has not heard of our admission, of which any other member that runs tells it, or our key was "
            "revoked; where that lasts, have a member invite this machine anew (p2pnet invite)"
        )

    def _compared(self, name: str, answer: Answered) -> Iterator[Finding]:
        status = answer.status
        if SPOKEN_VERSIONS.common(status.versions) is None:
            yield Finding(
                Outcome.WRONG,
                name,
                f"speaks version {status.versions} of the protocol (p2pnet {status.software}), and this machine "
                f"{SPOKEN_VERSIONS}: install the same p2pnet on both",
            )
        elif self.fingerprint is not None:
            differences = _differences(self.fingerprint, status)
            if differences:
                words = "; ".join(differences)
                yield Finding(Outcome.WRONG, name, f"trains something else: {words}: make both settings the same")
        if status.known_incarnation > self.incarnation:
            yield Finding(
                Outcome.WRONG,
                name,
                f"remembers this agent from {moment(status.known_incarnation)}, after what this machine would begin "
                f"with, {moment(self.incarnation)}, and takes it for the past: the clock was set back, or the state "
                "directory was lost; set the clock. A running agent is believed after a quarter of a minute",
            )
        if abs(answer.clock_ahead_s) > MAX_CLOCK_DIFFERENCE_S:
            yield Finding(
                Outcome.DOUBTFUL,
                name,
                f"its clock is {_duration(abs(answer.clock_ahead_s))} "
                f"{'ahead of' if answer.clock_ahead_s > 0 else 'behind'} this machine's: training does not compare "
                "clocks, but an agent whose clock is set back may be taken for its own past after a restart, and logs "
                "do not fit together; set both clocks by NTP",
            )


def _in_touch(answer: Answered, where: Address) -> str:
    status = answer.status
    doing = "its training has not begun" if status.round < 0 else f"in round {status.round}"
    return f"{status.name} answers at {where} in {1000 * answer.round_trip_s:.1f} ms; {doing}"


def _who_else_is_there(where: Address) -> str:
    """Distinguish ZeroMQ programs from others by their first bytes."""
    try:
        with socket.create_connection((where.host, where.port), _TCP_TIMEOUT_S) as stream:
            stream.settimeout(_TCP_TIMEOUT_S)
            first = stream.recv(10)
    except OSError:
        first = b""
    if (first[:1], first[9:10]) == _ZMTP_SIGNATURE:
        return "another agent answers there, or this one has a new key: correct the address, or ask for its public key"
    return "a program answers there that is no agent: correct the address"


def _why_no_connection(where: Address) -> str:
    """The operating system's reason for a failed connection, which ZeroMQ does not report."""
    try:
        socket.create_connection((where.host, where.port), _TCP_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return f"the machine is there, and port {where.port} is closed: start the agent there, or correct the port"
    except TimeoutError:
        return (
            "no answer in time: that machine is off, the address is another's, or a firewall drops what goes to port "
            f"{where.port}"
        )
    except OSError as error:
        return f"there is no way to that machine ({error.strerror}): see to this machine's network, or the address"
    return "it was not there a moment ago, and is now: look again"


def _differences(ours: Mapping[str, str], status: NodeStatus) -> list[str]:
    theirs = status.fingerprint
    return [
        f"{name}: theirs is {theirs.get(name, 'absent')}, ours is {ours.get(name, 'absent')}"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]


def _duration(seconds: float) -> str:
    for unit, length_s in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if round(seconds) >= 2 * length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"
