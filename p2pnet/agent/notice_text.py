"""Notices as log lines: level and text."""

from __future__ import annotations

import logging
import time
from typing import assert_never

from p2pnet.agent.names import PeerNames
from p2pnet.protocol.core.codec import SPOKEN_VERSIONS
from p2pnet.protocol.core.notices import (
    AdmissionRefused,
    AgentsAwaited,
    EndHeldUp,
    EpochBegun,
    ForeignVersion,
    InMeasurement,
    InStatistics,
    KeyInUseTwice,
    LinkClosed,
    LinkOpened,
    LinkRefused,
    MemberAdmitted,
    MemberChanged,
    MessageDropped,
    MetricsUnsettled,
    NeighborLate,
    NoNeighborAnswered,
    NoNeighborLeft,
    Notice,
    ParametersChosen,
    PeerDismissed,
    PeerUnreachable,
    PlainNotice,
    Rescaled,
    RevokedHere,
    RosterGrown,
    ServiceProlonged,
    StatisticsFound,
    StatisticsUnsettled,
    TakenForPast,
)

_WARNINGS = (
    KeyInUseTwice,
    MessageDropped,
    MetricsUnsettled,
    NoNeighborAnswered,
    NoNeighborLeft,
    RevokedHere,
    StatisticsUnsettled,
    TakenForPast,
)
MAX_LABELS_NAMED = 10
_REPEATED = (AdmissionRefused, ForeignVersion, LinkRefused, PeerUnreachable)
"""Warnings while they are news, debug lines afterwards."""


def moment(incarnation: int) -> str:
    """Format an incarnation as a date: it is the second of the process's start, unless the clock was set back."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(min(incarnation, 2**35)))


def level_of(notice: Notice) -> int:
    """The level of `logging` for a notice."""
    plain = notice.notice if isinstance(notice, InStatistics | InMeasurement) else notice
    if isinstance(plain, _REPEATED):
        return logging.WARNING if plain.is_news else logging.DEBUG
    return logging.WARNING if isinstance(plain, _WARNINGS) else logging.INFO


def text_of(notice: Notice, names: PeerNames) -> str:
    """One line of text for a notice; `names` are those that people have given to peers."""
    if isinstance(notice, InStatistics):
        return f"statistics: {_text_of(notice.notice, names)}"
    if isinstance(notice, InMeasurement):
        return f"metrics: {_text_of(notice.notice, names)}"
    return _text_of(notice, names)


def _text_of(notice: PlainNotice, names: PeerNames) -> str:
    match notice:
        case AgentsAwaited(n_agents, min_agents):
            return f"{n_agents} of at least {min_agents} agents are there (network.min_agents); waiting for the others"
        case LinkOpened(name):
            return f"linked with {name}"
        case LinkClosed(name, reason):
            return f"closed the link with {name}: {reason}"
        case NeighborLate(name, waited_s):
            return f"waited {waited_s:.1f} s in vain for {name}; going on without it"
        case NoNeighborAnswered(waited_s):
            return (
                f"no neighbor has answered in {waited_s:g} s; waiting on. Start the others, again if they have "
                "finished without this agent, or stop it"
            )
        case NoNeighborLeft():
            return "no neighbor is left; from here on this agent learns from its own samples alone"
        case EndHeldUp(peers):
            return f"converged here, but training does not end yet: {', '.join(peers)} may come back"
        case ServiceProlonged(peers):
            return f"training has ended; staying on for a while: {', '.join(peers)} may come back"
        case EpochBegun(number, why):
            return f"epoch {number} begins: {why}"
        case Rescaled(drift):
            by = f" by {drift:.2g} deviations" if drift else ""
            return f"the network's samples have drifted{by} from their scales: all agents scale them anew"
        case KeyInUseTwice(peer, peers):
            return (
                f"two processes seem to use the key of {' and '.join(peers)}: they say Hello in turns, and each closes "
                f"the link of the other; stop one, or make a key of its own with p2pnet keygen ({peer})"
            )
        case TakenForPast(name, remembered, own):
            return (
                f"{name} remembers this agent from {moment(remembered)}, after what this process began with, "
                f"{moment(own)}, and takes it for the past: the clock was set back, or the state directory was lost. "
                "It is believed in a quarter of a minute; set the clock if it is wrong"
            )
        case StatisticsFound(n_columns, labels, n_levels, n_rounds):
            shown = ", ".join(labels[:MAX_LABELS_NAMED]) + (", …" if len(labels) > MAX_LABELS_NAMED else "")
            found = f", {len(labels)} labels ({shown})" if labels else ""
            found += f", {n_levels} levels of categories" if n_levels else ""
            way = f"found in {n_rounds} rounds" if n_rounds else "told by the network, which has found them before"
            return f"feature statistics of {n_columns} columns{found}, {way}"
        case StatisticsUnsettled(n_rounds, column, change):
            return (
                f"the statistics before training have not settled in {n_rounds} rounds: column {column + 1} still "
                f"changes by {change:.1g} of its deviation. Not trained: look for values in it that are far too "
                'large, or scale samples at each agent alone (data.standardize = "local"), and start all agents again'
            )
        case ParametersChosen(round_):
            return f"the parameters of round {round_} are the best, by the rows of all agents for validation"
        case MetricsUnsettled(n_rounds):
            return f"the network's metrics have not settled in {n_rounds} rounds; the model is saved without them"
        case MessageDropped(peer, reason):
            return f"dropped a message from {names.call(peer)}: {reason}"
        case PeerDismissed(peer, reason):
            return f"hung up on {names.call(peer)}: {reason}"
        case LinkRefused(_, name, reason, is_ours=True):
            return f"refused {name}: {reason}"
        case LinkRefused(peer, name, reason):
            return f"{name or names.call(peer)} refused: {reason}; trying again"
        case ForeignVersion(peer, version):
            return (
                f"{names.call(peer)} speaks another protocol version: theirs is {version}, ours is {SPOKEN_VERSIONS}; "
                "install the same p2pnet on both, or the release before"
            )
        case AdmissionRefused(peer, max_neighbors):
            limit = f"as many neighbors as network.max_neighbors = {max_neighbors} allows"
            return f"refused {names.call(peer)}: there are {limit}; raise it, or name this one"
        case PeerUnreachable(peer, address, problem):
            return f"cannot reach {names.call(peer)} at {address}: {problem}; trying again"
        case MemberAdmitted(peer, name):
            return f"{name} ({peer}) is a member of the network now"
        case RosterGrown(n_admitted, n_members):
            return f"{n_admitted} members more are known by the records of the network, {n_members} in all"
        case RevokedHere():
            return (
                "the key of this agent has been revoked: no other agent talks to it any more. Stop it; to take part "
                "again it needs a new key and another invitation"
            )
        case MemberChanged(change, name, accuser, n_living, _):
            by = f" by {accuser}" if accuser else ""
            return f"members: {name} {change}{by} ({n_living} living)"
        case _:
            assert_never(notice)
