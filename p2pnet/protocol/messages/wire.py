"""The codec of all protocol messages."""

from __future__ import annotations

from typing import TypeGuard

from p2pnet.protocol.core.codec import Codec
from p2pnet.protocol.core.types import Message
from p2pnet.protocol.messages.membership import KINDS as MEMBERSHIP_KINDS
from p2pnet.protocol.messages.membership import MEMBERSHIP_MESSAGES, MembershipMessage
from p2pnet.protocol.messages.reports import REPORT_MESSAGES
from p2pnet.protocol.messages.training import KINDS as TRAINING_KINDS
from p2pnet.protocol.messages.training import TRAINING_MESSAGES, TrainingMessage
from p2pnet.protocol.messages.trust import TRUST_MESSAGES

_CODEC = Codec(TRAINING_MESSAGES, MEMBERSHIP_MESSAGES, REPORT_MESSAGES, TRUST_MESSAGES)
encode = _CODEC.encode
decode = _CODEC.decode

_MEMBERSHIP_TYPES = frozenset(MEMBERSHIP_KINDS.values())
_TRAINING_TYPES = frozenset(TRAINING_KINDS.values())


def is_membership_message(message: Message) -> TypeGuard[MembershipMessage]:
    """Whether the message is for the membership machine."""
    return type(message) in _MEMBERSHIP_TYPES


def is_training_message(message: Message) -> TypeGuard[TrainingMessage]:
    """Whether the message is for the session."""
    return type(message) in _TRAINING_TYPES
