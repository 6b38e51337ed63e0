"""Named lies: functions by which a Byzantine member changes its outgoing messages.

A lie is a pure function from a message to the messages that are sent in its place: none, one or several. It has no
memory and does no input or output, so that a real process (`lying_agent`) and a simulated member can tell the same
lies. Numbers drawn at random depend on the seed and on the round of the message only.

    name                 argument          changes
    params-scaled        factor            Share.params and StateReply.params, multiplied
    params-flipped       none              the same, times −1
    params-constant      value             the same, every entry set
    params-random        deviation         the same, replaced by N(0, deviation²)
    state-constant       value             StateReply.params alone, every entry set
    total-scaled         factor            Share.total, multiplied
    samples-shifted      samples           Share.total, its number of samples
    weight-shifted       weight            Share.total, its weight
    proximal-weight      value             Share.proximal_weight
    stop-early           round             stop_round of Share, Ack and StateReply
    running              round             round of Hello, Ready and StateReply: it is far in its training already
    rounds-hurried       rounds            round of Share, so many rounds ahead
    finished             round             Finished follows each Share: its training has ended with this round
    share-repeated       copies            Share, sent so many times
    labels-added         labels            LabelSet.labels, which gains labels of no sample
    statistics-unasked   columns           LabelSet, which FeatureStatistics follow that no agent has computed
    statistics-wide      variance          LabelSet with a reference, which FeatureStatistics of this variance follow
    names-made-up        epochs            LabelSet, of a name of its own, so many epochs later
    label-sets-repeated  copies            LabelSet, sent so many times, each with another name of its own
    hellos-repeated      copies            Hello, followed by so many with fresh nonces
    members-invented     members           Gossip of so many members that there are not follows messages of membership
    incarnations-raised  amount            membership records of other members
    others-suspect       incarnation       Gossip follows records of other members: they are suspect
    others-dead          incarnation       the same: they are dead
    others-alive         incarnation       the same: they are alive, at an address of no one

Where the agents find statistics of their features before they train (data.standardize = "network"), the shares of that
phase are changed as well, which may keep it from its end; with "none", only those of the training are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from p2pnet.errors import ConfigError
from p2pnet.protocol.core.types import FeatureStatistics, Message, Nonce, WireArray
from p2pnet.protocol.messages.membership import Gossip, MemberRecords, MemberState, NeighborReply, Record
from p2pnet.protocol.messages.training import Ack, Finished, Hello, LabelSet, Ready, Share, StateReply
from p2pnet.protocol.messages.wire import is_membership_message

PLAIN = "float64"
"""A liar's `network.precision`: lies change numbers, and not the code of coded shares."""

AnyMessage: TypeAlias = Message
Lie: TypeAlias = Callable[[AnyMessage], list[AnyMessage]]


@dataclass(frozen=True, slots=True)
class Liar:
    """The lying member: its public key, which stays true, and the seed of its random draws."""

    peer: str
    seed: int = 0


@dataclass(frozen=True, slots=True)
class LieKind:
    """A lie's name, its argument where none is given, and the function that makes the lie."""

    name: str
    default: float
    make: Callable[[float, Liar], Lie]


def parse_lie(text: str, liar: Liar) -> Lie:
    """Parse `NAME` or `NAME:ARGUMENT`; ConfigError where the lie is unknown, or the argument is no number."""
    name, colon, argument = text.partition(":")
    kind = LIES.get(name)
    if kind is None:
        raise ConfigError(f"lie {text!r}: there is no lie of this name; choose one of {', '.join(LIES)}")
    try:
        value = _number(argument) if colon else kind.default
    except ValueError:
        raise ConfigError(f"lie {text!r}: {argument!r} is no number; write it as in {name}:{kind.default:g}") from None
    if not math.isfinite(value):
        raise ConfigError(f"lie {text!r}: the number must be finite, or the message could not be sent")
    return kind.make(value, liar)


def _number(text: str) -> float:
    """The number that the text says; a whole one as it stands, since a float has 53 bits only."""
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def tell(lies: Iterable[Lie], message: AnyMessage) -> list[AnyMessage]:
    """Apply lies to a message one after the other; return the messages to be sent in its place."""
    messages = [message]
    for lie in lies:
        messages = [told for one in messages for told in lie(one)]
    return messages


# ------------------------------------------------------------------------------------------ parameters and totals


def _change_params(change: Callable[[WireArray, int], WireArray]) -> Lie:
    """Replace the parameters by `change(params, round)`, which keeps their number and type."""

    def lie(message: AnyMessage) -> list[AnyMessage]:
        match message:
            case Share():
                return [replace(message, params=change(message.params, message.round))]
            case StateReply():
                return [replace(message, params=change(message.params, message.round).astype(np.float64))]
        return [message]

    return lie


def _like(array: WireArray, values: WireArray) -> WireArray:
    """The values, in the array's precision."""
    converted: WireArray = values.astype(array.dtype)  # type: ignore[assignment]
    return converted


def _params_scaled(factor: float, liar: Liar) -> Lie:  # noqa: ARG001
    return _change_params(lambda params, _: _like(params, factor * params))


def _params_flipped(argument: float, liar: Liar) -> Lie:  # noqa: ARG001
    return _change_params(lambda params, _: -params)


def _params_constant(value: float, liar: Liar) -> Lie:  # noqa: ARG001
    return _change_params(lambda params, _: np.full_like(params, value))


def _state_constant(value: float, liar: Liar) -> Lie:  # noqa: ARG001
    def lie(message: AnyMessage) -> list[AnyMessage]:
        if isinstance(message, StateReply):
            return [replace(message, params=np.full_like(message.params, value))]
        return [message]

    return lie


def _params_random(deviation: float, liar: Liar) -> Lie:
    def draw(params: WireArray, round_: int) -> WireArray:
        rng = np.random.default_rng([liar.seed, max(round_, 0)])
        return _like(params, deviation * rng.standard_normal(params.size))

    return _change_params(draw)


def _change_share(change: Callable[[Share], Share]) -> Lie:
    return lambda message: [change(message) if isinstance(message, Share) else message]


def _total_scaled(factor: float, liar: Liar) -> Lie:  # noqa: ARG001
    return _change_share(lambda share: replace(share, total=_like(share.total, factor * share.total)))


def _shifted(total: WireArray, place: int, by: float) -> WireArray:
    shifted = total.copy()
    shifted[place] += by
    return shifted


def _samples_shifted(n_samples: float, liar: Liar) -> Lie:  # noqa: ARG001
    return _change_share(lambda share: replace(share, total=_shifted(share.total, -2, n_samples)))


def _weight_shifted(weight: float, liar: Liar) -> Lie:  # noqa: ARG001
    return _change_share(lambda share: replace(share, total=_shifted(share.total, -1, weight)))


def _proximal_weight(value: float, liar: Liar) -> Lie:  # noqa: ARG001
    return _change_share(lambda share: replace(share, proximal_weight=value))


# ------------------------------------------------------------------------------------------- the course of a run


def _stop_early(round_: float, liar: Liar) -> Lie:  # noqa: ARG001
    def lie(message: AnyMessage) -> list[AnyMessage]:
        if isinstance(message, Share | Ack | StateReply):
            return [replace(message, stop_round=int(round_))]
        return [message]

    return lie


def _running(round_: float, liar: Liar) -> Lie:  # noqa: ARG001
    def lie(message: AnyMessage) -> list[AnyMessage]:
        if isinstance(message, Hello | Ready | StateReply):
            return [replace(message, round=int(round_))]
        return [message]

    return lie


def _rounds_hurried(n_rounds: float, liar: Liar) -> Lie:  # noqa: ARG001
    return _change_share(lambda share: replace(share, round=share.round + int(n_rounds)))


def _finished(round_: float, liar: Liar) -> Lie:  # noqa: ARG001
    def lie(message: AnyMessage) -> list[AnyMessage]:
        if isinstance(message, Share):
            return [message, Finished(message.link_id, int(round_), message.sequence, message.acknowledged)]
        return [message]

    return lie


def _share_repeated(n_copies: float, liar: Liar) -> Lie:  # noqa: ARG001
    return lambda message: [message] * (int(n_copies) if isinstance(message, Share) else 1)


# ----------------------------------------------------------------------------------- what precedes the training


def _labels_added(n_labels: float, liar: Liar) -> Lie:  # noqa: ARG001
    added = {f"label of no sample {k + 1}" for k in range(int(n_labels))}

    def lie(message: AnyMessage) -> list[AnyMessage]:
        if isinstance(message, LabelSet):
            return [replace(message, labels=tuple(sorted({*message.labels, *added})))]
        return [message]

    return lie


def _statistics_unasked(n_columns: float, liar: Liar) -> Lie:  # noqa: ARG001
    mean, variance = np.full(int(n_columns), 1e3), np.ones(int(n_columns))

    def lie(message: AnyMessage) -> list[AnyMessage]:
        if isinstance(message, LabelSet):
            return [message, FeatureStatistics(message.survey, message.labels, mean, variance)]
        return [message]

    return lie


def _statistics_wide(variance: float, liar: Liar) -> Lie:  # noqa: ARG001
    def lie(message: AnyMessage) -> list[AnyMessage]:
        if isinstance(message, LabelSet) and message.revision:
            wide = np.full(message.mean.size, variance)
            return [message, FeatureStatistics(message.survey, message.labels, np.asarray(message.mean), wide)]
        return [message]

    return lie


def _names_made_up(n_epochs: float, liar: Liar) -> Lie:
    def lie(message: AnyMessage) -> list[AnyMessage]:
        if isinstance(message, LabelSet):
            return [replace(message, epoch=message.epoch + int(n_epochs), survey=f" {liar.peer}", is_confirmed=False)]
        return [message]

    return lie


def _label_sets_repeated(n_copies: float, liar: Liar) -> Lie:
    def lie(message: AnyMessage) -> list[AnyMessage]:
        if isinstance(message, LabelSet):
            names = [f" {liar.peer} {k}" for k in range(int(n_copies))]
            return [replace(message, epoch=message.epoch + k, survey=name) for k, name in enumerate(names)]
        return [message]

    return lie


def _hellos_repeated(n_copies: float, liar: Liar) -> Lie:  # noqa: ARG001
    def lie(message: AnyMessage) -> list[AnyMessage]:
        if not isinstance(message, Hello):
            return [message]
        incarnation, counter = message.nonce
        fresh = [replace(message, nonce=Nonce(incarnation, counter + k), echo=None) for k in range(int(n_copies))]
        return [message, *fresh]

    return lie


# --------------------------------------------------------------------------------------------------- membership


def _members_invented(n_members: float, liar: Liar) -> Lie:
    invented = tuple(
        Record(f"{k}.{liar.seed}.{liar.peer}"[:40], MemberState.ALIVE, 1, "tcp://nowhere:1")
        for k in range(int(n_members))
    )

    def lie(message: AnyMessage) -> list[AnyMessage]:
        return [message, Gossip(invented)] if is_membership_message(message) else [message]

    return lie


def _incarnations_raised(amount: float, liar: Liar) -> Lie:
    def raised(records: tuple[Record, ...]) -> tuple[Record, ...]:
        return tuple(
            record if record.peer == liar.peer else replace(record, incarnation=record.incarnation + int(amount))
            for record in records
        )

    def lie(message: AnyMessage) -> list[AnyMessage]:
        if isinstance(message, Gossip | NeighborReply | MemberRecords):
            return [replace(message, records=raised(message.records))]
        return [message]

    return lie


def _others(state: MemberState) -> Callable[[float, Liar], Lie]:
    """Say of every member that a message names that it is in this state, in an incarnation of the argument."""

    def make(incarnation: float, liar: Liar) -> Lie:
        def changed(record: Record) -> Record:
            address = "tcp://nowhere:1" if state is MemberState.ALIVE else ""
            return Record(record.peer, state, int(incarnation), address, accuser=liar.peer)

        def lie(message: AnyMessage) -> list[AnyMessage]:
            if not isinstance(message, Gossip | NeighborReply | MemberRecords):
                return [message]
            others = tuple(changed(record) for record in message.records if record.peer != liar.peer)
            return [message, Gossip(others)] if others else [message]

        return lie

    return make


LIES: Mapping[str, LieKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            LieKind("params-scaled", 10.0, _params_scaled),
            LieKind("params-flipped", -1.0, _params_flipped),
            LieKind("params-constant", 1.0, _params_constant),
            LieKind("params-random", 1.0, _params_random),
            LieKind("state-constant", 1e300, _state_constant),
            LieKind("total-scaled", 2.0, _total_scaled),
            LieKind("samples-shifted", 1000.0, _samples_shifted),
            LieKind("weight-shifted", 1.0, _weight_shifted),
            LieKind("proximal-weight", 1e12, _proximal_weight),
            LieKind("stop-early", 1.0, _stop_early),
            LieKind("running", 1e9, _running),
            LieKind("rounds-hurried", 1000.0, _rounds_hurried),
            LieKind("finished", 1e9, _finished),
            LieKind("share-repeated", 2.0, _share_repeated),
            LieKind("labels-added", 1.0, _labels_added),
            LieKind("statistics-unasked", 1.0, _statistics_unasked),
            LieKind("statistics-wide", 1e300, _statistics_wide),
            LieKind("names-made-up", 1.0, _names_made_up),
            LieKind("label-sets-repeated", 10.0, _label_sets_repeated),
            LieKind("hellos-repeated", 100.0, _hellos_repeated),
            LieKind("members-invented", 150.0, _members_invented),
            LieKind("incarnations-raised", 1.0, _incarnations_raised),
            LieKind("others-suspect", 2.0**61, _others(MemberState.SUSPECT)),
            LieKind("others-dead", 2.0**61, _others(MemberState.DEAD)),
            LieKind("others-alive", 2.0**61, _others(MemberState.ALIVE)),
        )
    }
)
"""All lies by name."""
