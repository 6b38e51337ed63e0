"""The messages of the statistics stage and of training.

kind  message            says
1     Hello              who I am, what I train, which side of our link is mine
2     Refuse             why there will be no link between us
3     Ready              I have my neighbors; my degree in the coming round
4     Share              one round's parameters and the running total of mass sent over the link
5     Ack                I have your share of this sequence number, and miss the one before
6     Reset              I know nothing of the link you used
7     Finished           my training has ended with this round; I go on serving
8     Left               I leave on purpose, and my data with me
9     StateRequest       where are you, and with which parameters?
10    StateReply         the answer: round and parameters
12    Away               I go, and expect to be back soon
13    Witness            I have heard that this agent trains already, on this path
20    LabelSet           the labels that I have heard of, and which run of averaging this is
21    FeatureStatistics  the result of the averaging before training
22    Epoch              which epoch of training I am in
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.codec import (
    SPOKEN_VERSIONS,
    MessageSet,
    Reader,
    read_count,
    read_flag,
    read_link_id,
    read_nonce,
    read_optional_count,
    read_optional_nonce,
    read_optional_weight,
    read_precision,
    read_round,
    read_text,
    read_version_range,
    read_weight,
)
from p2pnet.protocol.core.types import (
    Array,
    FeatureStatistics,
    LinkId,
    Message,
    Nonce,
    PeerId,
    VersionRange,
    WireArray,
)
from p2pnet.protocol.messages.reports import REPORTS

WITNESSES = "witnesses"
"""The capability of reading Witness."""
CODED_SHARES = "coded-shares"
"""The capability of reading coded shares."""
MASKS = "masks"
"""The capability of masking links of the statistics stage (`links/masks.py`), which agents may have or not."""
CURVATURE = "curvature"
"""The capability of tracking curvature (`links/curvature.py`), which agents may have or not."""
CAPABILITIES: tuple[str, ...] = (WITNESSES, REPORTS, CODED_SHARES)
"""The capabilities of this program beyond its protocol version."""

CODED = 8
"""The precision of a coded share, of which total and parameters are codes (`links/coding.py`)."""

MAX_CAPABILITIES = 64
MAX_FIELDS = 64
MAX_PATH = 16
MAX_TEXT_LENGTH = 512
MAX_LABELS = 1024
MAX_BYTES_OF_LABELS = 12_288
LEVEL_MARK = "\x1f"
"""Levels of categories begin with it, then the place of the column and the mark again; labels never do."""

TOO_MANY = ("\0",)
"""The set that stands for all that are too large: its union with any other is itself, so all agents learn of it."""


def _nothing() -> Array:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Opens or confirms a link; `echo` is the receiver's nonce where the sender knows it."""

    nonce: Nonce
    echo: Nonce | None
    fingerprint: Mapping[str, str]
    name: str
    address: str
    round: int
    """The round the sender is in; -1 before its training has begun."""
    is_confirmed: bool
    """Whether the sender knows that the receiver has opened the link too; if not, the sender waits for an answer."""
    versions: VersionRange = SPOKEN_VERSIONS
    """The sender's protocol versions; the link uses the latest that both ends speak."""
    capabilities: tuple[str, ...] = CAPABILITIES
    """The sender's capabilities by name; a message that needs a capability is sent only to peers that have it."""


@dataclass(frozen=True, slots=True)
class Refuse(Message):
    reason: str


@dataclass(frozen=True, slots=True)
class Ready(Message):
    link_id: LinkId
    degree: int
    round: int
    """The round the sender is in; -1 before its training has begun."""


@dataclass(frozen=True, slots=True)
class Share(Message):
    """The transfer of mass and parameters to one neighbor in one round.

    `total` is the running sum of all mass given over this link, (gradient sum, samples, weight), less the same sum at
    share number `base`: the share after a lost share makes it good, and a repeated share changes nothing. `params` are
    the sender's parameters after its local step.
    """

    link_id: LinkId
    sequence: int
    acknowledged: int
    base: int
    """The sequence number of an acknowledged share that `total` is relative to, and `params` too where they are coded;
    0 where totals are not rounded.
    """
    precision: int
    """Bits of the numbers on the wire: 64 or 32, or CODED."""
    round: int
    next_degree: int
    proximal_weight: float
    first_residual: float
    """The largest residual of the first round that the sender knows of: all agents judge stationarity relative to it.
    """
    quiet: int
    """The termination count: all agents fewer than so many links away have been stationary."""
    stop_round: int
    """The round that all agents end with; -1 while none is known."""
    is_held: bool
    """Whether a link has opened or closed since that round was named: no agent takes local steps then."""
    total: WireArray = field(repr=False)
    params: WireArray = field(repr=False)
    account: int = 0
    """The account that the total belongs to, where an agent begins a new one: mass of other accounts than the
    receiver's own is none of its own."""
    radius: float | None = None
    """How long a difference to the receiver's parameters the sender mixes in at most; None for any. Both ends of the
    link clip by the smaller radius."""
    curvature: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, dtype=np.uint8), repr=False)
    """The code of the same running sum of curvature (`links/curvature.py`): empty where there is none, as it always is
    for agents without that capability."""


@dataclass(frozen=True, slots=True)
class Ack(Message):
    link_id: LinkId
    sequence: int
    stop_round: int = -1
    """As in a share: the last round spreads also where the window for shares is full."""
    missing: int | None = None
    """The sequence number before, where that share has not come and is to be resent."""


@dataclass(frozen=True, slots=True)
class Reset(Message):
    link_id: LinkId


@dataclass(frozen=True, slots=True)
class Finished(Message):
    link_id: LinkId
    round: int
    sequence: int
    """The sequence number of the last share over the link: the receiver can tell when it has all shares."""
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Left(Message):
    link_id: LinkId


@dataclass(frozen=True, slots=True)
class Away(Message):
    link_id: LinkId


@dataclass(frozen=True, slots=True)
class StateRequest(Message):
    link_id: LinkId


@dataclass(frozen=True, slots=True)
class StateReply(Message):
    link_id: LinkId
    round: int
    stop_round: int
    params: Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class Witness(Message):
    """What an agent that has not begun has heard of one that trains: its round, and the last round if it is named."""

    link_id: LinkId
    round: int
    stop_round: int
    path: tuple[PeerId, ...]
    """The agent that trains, and those that have passed it on before the sender."""


@dataclass(frozen=True, slots=True)
class LabelSet(Message):
    """The labels and the averaging run that the sender knows of; both converge by union and by order."""

    epoch: int
    """The number of links closed one after another; the run of the latest epoch holds."""
    survey: str
    """The id of the averaging run: the least (id, incarnation, epoch) among the agents that named a run in this epoch.
    """
    labels: tuple[str, ...]
    """Class labels and levels of categories without repetition, sorted as text."""
    is_confirmed: bool
    """Whether the sender has heard the same from the receiver; if not, the sender waits for an answer."""
    revision: int = 0
    """Grows when the reference is replaced; 0 for the first, which is zero. Where links are masked, its last six bits
    say how large the masks are (`rounds/masking.py`)."""
    mean: WireArray = field(default_factory=_nothing, repr=False, compare=False)
    """u of the reference about which moments are averaged; epoch, run and revision name it. Empty for the first."""
    variance: WireArray = field(default_factory=_nothing, repr=False, compare=False)
    """v of the reference. Where masked columns may have gaps, its last six bits say how much less than by the revision
    the masks of the column are; 0 may be a subnormal number then."""


@dataclass(frozen=True, slots=True)
class Epoch(Message):
    """The epoch that the sender is in; repeated until the receiver is in it too.

    Known to agents that keep running, which their fingerprints say.
    """

    link_id: LinkId
    number: int
    """0 for the first; it grows with each."""
    first_round: int
    """The round in which it has begun: the last one of the epoch before."""
    is_over: bool
    """Whether the sender has finished in it."""


TrainingMessage: TypeAlias = (
    Hello | Refuse | Ready | Share | Ack | Reset | Finished | Left | StateRequest | StateReply | Away | Witness
    | LabelSet | FeatureStatistics | Epoch
)  # fmt: skip

KINDS: Mapping[int, type[TrainingMessage]] = {
    1: Hello,
    2: Refuse,
    3: Ready,
    4: Share,
    5: Ack,
    6: Reset,
    7: Finished,
    8: Left,
    9: StateRequest,
    10: StateReply,
    12: Away,
    13: Witness,
    20: LabelSet,
    21: FeatureStatistics,
    22: Epoch,
}


def n_bytes_of_labels(labels: Iterable[str]) -> int:
    """What the labels take up in a message, at most."""
    return sum(len(label.encode()) + 3 for label in labels)


def check_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the labels unchanged; ProtocolError unless they are distinct and fit into one message."""
    if len(set(labels)) < len(labels):
        raise ProtocolError("a label occurs twice")
    if len(labels) > MAX_LABELS or n_bytes_of_labels(labels) > MAX_BYTES_OF_LABELS:
        raise ProtocolError(
            f"more than {MAX_LABELS} labels or {MAX_BYTES_OF_LABELS} bytes of them; name them in data.classes"
        )
    return labels


def united(*label_sets: tuple[str, ...]) -> tuple[str, ...]:
    """The union, sorted as text; TOO_MANY where it does not fit into one message, or one of the sets is that."""
    union = tuple(sorted({label for labels in label_sets for label in labels}))
    if TOO_MANY[0] in union:
        return TOO_MANY
    try:
        return check_labels(union)
    except ProtocolError:
        return TOO_MANY


def _read_text(value: object) -> str:
    return read_text(value, MAX_TEXT_LENGTH)


def _read_texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_FIELDS:
        raise ProtocolError(f"not a map of at most {MAX_FIELDS} texts")
    return {_read_text(name): _read_text(text) for name, text in value.items()}


def _read_capabilities(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_CAPABILITIES:
        raise ProtocolError(f"not a list of at most {MAX_CAPABILITIES} texts")
    return tuple(_read_text(name) for name in value)


def _read_path(value: object) -> tuple[PeerId, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_PATH:
        raise ProtocolError(f"not a list of 1 to {MAX_PATH} texts")
    return tuple(_read_text(peer) for peer in value)


def _read_labels(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_LABELS:
        raise ProtocolError(f"not a list of at most {MAX_LABELS} texts")
    return check_labels(tuple(_read_text(label) for label in value))


_READERS: Mapping[str, Reader] = {
    "nonce": read_nonce,
    "echo": read_optional_nonce,
    "fingerprint": _read_texts,
    "is_confirmed": read_flag,
    "is_held": read_flag,
    "is_over": read_flag,
    "name": _read_text,
    "address": _read_text,
    "reason": _read_text,
    "round": read_round,
    "stop_round": read_round,
    "link_id": read_link_id,
    "degree": read_count,
    "epoch": read_count,
    "number": read_count,
    "first_round": read_count,
    "revision": read_count,
    "account": read_count,
    "next_degree": read_count,
    "sequence": read_count,
    "missing": read_optional_count,
    "acknowledged": read_count,
    "base": read_count,
    "precision": read_precision,
    "quiet": read_count,
    "proximal_weight": read_weight,
    "radius": read_optional_weight,
    "first_residual": read_weight,
    "survey": _read_text,
    "labels": _read_labels,
    "versions": read_version_range,
    "capabilities": _read_capabilities,
    "path": _read_path,
}

TRAINING_MESSAGES = MessageSet(
    kinds=KINDS,
    readers=_READERS,
    arrays={
        Share: ("total", "params"),
        StateReply: ("params",),
        LabelSet: ("mean", "variance"),
        FeatureStatistics: ("mean", "variance"),
    },
    codes={Share: "curvature"},
    open_ended=frozenset({Hello}),
)
