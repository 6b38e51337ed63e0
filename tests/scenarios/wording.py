"""Events, effects, messages and notices as one line each: `Kind field=value …`, without what says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from p2pnet.protocol.core.effects import Effect, Notify, Send
from p2pnet.protocol.core.events import MessageReceived
from p2pnet.protocol.core.types import LinkId, Message, Nonce
from p2pnet.protocol.messages.membership import Record
from p2pnet.protocol.messages.training import Ack, Hello, Share
from p2pnet.protocol.node import NodeEvent
from p2pnet.protocol.rounds.fingerprints import STAGE_FIELD
from p2pnet.protocol.rounds.session import TRAINING

UNTOLD = {
    "Hello.versions",
    "Hello.capabilities",
    *("Hello.name", "Hello.address", "Share.base", "Share.precision", "Share.first_residual", "Digest.hashes"),
    *("Evaluate.disagreement", "RunLocalStep.network_size"),
    *("Evaluated.curvature", "RunLocalStep.curvature", "Share.curvature"),
    *("Dial.addresses", "DialFailed.address", "PeerUnreachable.address"),
}
"""Fields that would lengthen lines and explain nothing."""

DEFAULTS: Mapping[str, object] = {
    "Hello.fingerprint": {STAGE_FIELD: TRAINING},
    **dict.fromkeys(("Prepared.n_metric_sums", "Prepared.n_candidates", "Prepared.n_tracked"), 0),
    "RunLocalStep.neighbor_proximal_weight": 0.0,
    "Share.quiet": 0,
    "Evaluate.epoch": 0,
}
"""Values that are left out, besides False, None, -1 and what is empty."""

N_DECIMALS = 9
"""What is left of numbers that cancel is not told: it differs between machines."""


def of_event(event: NodeEvent) -> str:
    return f"{event.peer}'s {_short(event.message)}" if isinstance(event, MessageReceived) else of_value(event)


def of_effect(effect: Effect) -> str:
    match effect:
        case Send(peer, message):
            return f"to {peer}: {of_value(message)}"
        case Notify(notice):
            return f"notice {of_value(notice)}"
        case _:
            return of_value(effect)


def _short(message: Message) -> str:
    """Enough to find the line where the message was sent, which has it in full."""
    match message:
        case Share(link_id) | Ack(link_id):
            return f"{type(message).__name__} {message.sequence} over {of_value(link_id)}"
        case Hello(nonce, echo):
            return f"Hello {of_value(nonce)} echo {of_value(echo)}"
        case _:
            return type(message).__name__


def of_value(value: object) -> str:
    """Floats and arrays with four digits."""
    match value:
        case float():
            return f"{round(value, N_DECIMALS) + 0.0:.4g}"
        case np.ndarray():
            return "[" + " ".join(of_value(float(number)) for number in value) + "]"
        case Nonce(incarnation, counter):
            return f"{incarnation}.{counter}"
        case LinkId(mine, theirs):
            return f"{of_value(mine)}/{of_value(theirs)}"
        case Record(peer, state, incarnation):
            by = f" by {value.accuser}" if value.accuser else ""
            return f"{peer}:{state.name.lower()}{by}:{incarnation}"
        case tuple():
            return "[" + ", ".join(map(of_value, value)) + "]"
        case Mapping():
            return "{" + ", ".join(f"{name}: {text}" for name, text in sorted(value.items())) + "}"
        case None:
            return "-"
    return _of_dataclass(value) if is_dataclass(value) else str(value)


def _of_dataclass(value: Any) -> str:
    kind = type(value).__name__
    words = [kind]
    for field in fields(value):
        content = getattr(value, field.name)
        if _is_told(f"{kind}.{field.name}", content):
            words.append(field.name.removeprefix("is_") if content is True else f"{field.name}={of_value(content)}")
    return " ".join(words)


def _is_told(name: str, content: object) -> bool:
    if name in UNTOLD or content is None or content is False:
        return False
    is_empty = isinstance(content, str | tuple | Mapping) and not content
    return not is_empty and (isinstance(content, np.ndarray) or content != DEFAULTS.get(name, -1))
