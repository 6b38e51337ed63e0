"""Agents of scenarios: whole nodes with a learner of one parameter, by the options of the command `node`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TypeVar, assert_never, final

import numpy as np

from p2pnet.protocol.core.effects import Evaluate, Prepare, RunLocalStep
from p2pnet.protocol.core.events import Evaluated, LocalStepDone, Prepared
from p2pnet.protocol.core.types import Randomness
from p2pnet.protocol.membership.machine import MembershipMachine
from p2pnet.protocol.membership.timing import LAN
from p2pnet.protocol.messages.membership import MemberState, Record
from p2pnet.protocol.node import Node
from p2pnet.protocol.peering.overlay_peering import OverlayPeering
from p2pnet.protocol.peering.peering import Peering
from p2pnet.protocol.peering.static_peering import StaticPeering
from p2pnet.protocol.rounds.fingerprints import SURVEY_FIELD
from p2pnet.protocol.rounds.moments import LocalStatistics
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session
from p2pnet.protocol.rounds.timing import Timing
from p2pnet.simulation.overlay_simulation import IdleSession

TIMING = Timing(round_timeout_s=1.0, round_timeout_floor_s=0.5, resend_s=0.4, start_timeout_s=5.0, finish_timeout_s=2.0)
QUIET = replace(LAN, probe_interval_s=3.0, random_probe_interval_s=1000.0)
"""The membership's: little is said where nothing happens."""

T = TypeVar("T")
Options = Mapping[str, str]
Task = Prepare | Evaluate | RunLocalStep


@final
class NoChance(Randomness):
    """The middle of every range, and the first of every list."""

    def random(self) -> float:
        return 0.5

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2

    def sample(self, population: Sequence[T], k: int) -> list[T]:
        return list(population[:k])


def answer(task: Task, options: Options) -> Prepared | Evaluated | LocalStepDone:
    """For the loss ½ (w − target)² at each of n samples: its gradient, or half a Newton step; from w = 0."""
    n_samples = number(options, "samples", 1.0)
    match task:
        case Prepare(statistics):
            fingerprint = {"model": options["model"]} if "model" in options else {}
            survey = {} if statistics is None else {SURVEY_FIELD: statistics.survey}
            return Prepared({**fingerprint, **survey}, np.zeros(1))
        case Evaluate(round_, params):
            return Evaluated(round_, n_samples * (params - number(options, "target", 0.0)), n_samples)
        case RunLocalStep(round_, params, direction):
            return LocalStepDone(round_, params - direction / 2, abs(float(direction[0])), 1.0)
        case _:
            assert_never(task)


def node(peer: str, name: str, options: Options, n_starts: int) -> Node:
    """A process of the agent, which has been started so often before; idle without a `target`."""
    # The statistics stage has an incarnation of its own.
    incarnation = int(number(options, "incarnation", 1)) + n_starts * (2 if "mean" in options else 1)
    identity = Identity(peer, name, incarnation, {}, address_of(peer))
    peering = _peering(identity, options)
    if "target" not in options:
        return Node(IdleSession(identity), peering, NoChance())
    return Node(Session(identity, _round_options(options), _statistics(options)), peering, NoChance())


def address_of(peer: str) -> str:
    return f"tcp://{peer}:7000"


def number(options: Options, name: str, default: float) -> float:
    return float(options.get(name, default))


def _round_options(options: Options) -> RoundOptions:
    return RoundOptions(
        max_rounds=int(number(options, "rounds", 1000)),
        exchanges=1,
        momentum=0.0,
        max_diameter=int(number(options, "diameter", 32)),
        tolerance=number(options, "tolerance", 0.0),
        keeps_running="keeps_running" in options,
        timing=replace(TIMING, **{f.name: number(options, f.name, getattr(TIMING, f.name)) for f in fields(Timing)}),
    )


def _statistics(options: Options) -> LocalStatistics | None:
    if "mean" not in options:
        return None
    mean, variance = (np.array([number(options, name, 1.0)]) for name in ("mean", "variance"))
    labels = tuple(label for label in options.get("labels", "").split(",") if label)
    return LocalStatistics(number(options, "samples", 1.0), mean, variance, labels)


def _peering(me: Identity, options: Options) -> Peering:
    """Neighbors by name, or by gossip where there are `seeds`."""
    max_neighbors = int(number(options, "max_neighbors", 8))
    named = options["seeds" if "seeds" in options else "neighbors"].split(",")
    addresses = {peer: address_of(peer) for peer in named if peer}
    if "seeds" not in options:
        return StaticPeering(addresses, max_neighbors)
    record = Record(me.peer, MemberState.ALIVE, me.incarnation, me.address, me.name)
    membership = MembershipMachine(record, addresses, lambda _: True, max_neighbors, QUIET, NoChance())
    return OverlayPeering(membership, addresses)
