"""Membership messages survive the wire unchanged, and whatever else arrives does no more harm than a ProtocolError."""

from contextlib import suppress
from dataclasses import fields
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.codec import MAX_HEADER_BYTES, PROTOCOL_VERSION
from p2pnet.protocol.core.types import LinkId, Message, Nonce
from p2pnet.protocol.messages import training as rounds
from p2pnet.protocol.messages.membership import (
    BUCKET_BYTES,
    KINDS,
    MAX_RECORDS,
    N_BUCKETS,
    Gossip,
    MemberState,
    Ping,
    ProbeRequest,
    Record,
    n_bytes,
)
from p2pnet.protocol.messages.wire import decode, encode, is_membership_message, is_training_message

peers = st.text(min_size=1, max_size=40)
texts = st.text(max_size=40)
counts = st.integers(0, 2**62 - 1)
records = st.builds(Record, peers, st.sampled_from(MemberState), counts, texts, texts, texts)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "int": counts,
    "bool": st.booleans(),
    "PeerId": peers,
    "Record": records,
    "tuple[Record, ...]": st.lists(records, max_size=4).map(tuple),
    "bytes": st.binary(min_size=N_BUCKETS * BUCKET_BYTES, max_size=N_BUCKETS * BUCKET_BYTES),
}
messages = st.one_of(
    [st.builds(kind, **{field.name: FIELDS[str(field.type)] for field in fields(kind)}) for kind in KINDS.values()]
)


@given(messages)
def test_a_message_survives_the_wire(message: Message) -> None:
    assert decode(encode(message)) == message


@given(messages)
def test_a_message_is_for_the_membership_machine(message: Message) -> None:
    assert is_membership_message(message)
    assert not is_training_message(message)


@pytest.mark.parametrize("message", [rounds.Refuse("no"), rounds.Ack(LinkId(Nonce(1, 1), Nonce(64, 64)), 64)])
def test_a_training_message_is_not(message: Message) -> None:
    assert is_training_message(message)
    assert not is_membership_message(message)


def test_the_kinds_of_both_protocols_differ() -> None:
    assert not KINDS.keys() & rounds.KINDS.keys()


@given(st.binary(max_size=200))
def test_garbage_is_a_protocol_error(garbage: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode([garbage])


plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | texts | st.binary(max_size=300),
    lambda parts: st.lists(parts, max_size=6) | st.dictionaries(texts, parts, max_size=3),
    max_leaves=12,
)


@given(st.sampled_from(sorted(KINDS)), st.lists(plain, max_size=4))
def test_wrong_fields_are_a_protocol_error(kind: int, values: list[Any]) -> None:
    with suppress(ProtocolError):
        message = decode([msgpack.packb([PROTOCOL_VERSION, kind, *values])])
        assert type(message) is KINDS[kind]


@pytest.mark.parametrize(
    "record",
    [
        ["", 0, 1],
        ["a" * 65, 0, 1],
        ["a", 4, 1],
        ["a", True, 1],
        ["a", 0, -1],
        ["a", 0, 2**63],
        ["a", 0, 1, "x" * 257],
        ["a", 0, 1, "", "x" * 65],
        ["a", 0, 1, "", "", b"c"],
        ["a", 0, 1, "", "", "", ""],
        ["a", 0],
    ],
)
def test_a_bad_record_is_a_protocol_error(record: list[Any]) -> None:
    with pytest.raises(ProtocolError, match="records"):
        decode([msgpack.packb([PROTOCOL_VERSION, 68, [record]])])


def test_too_much_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="at most 16384"):
        decode([bytes(MAX_HEADER_BYTES + 1)])
    with pytest.raises(ProtocolError, match="at most 256 records"):
        decode([msgpack.packb([PROTOCOL_VERSION, 68, [["a", 0, 1]] * (MAX_RECORDS + 1)])])
    with pytest.raises(ProtocolError, match="frames"):
        decode([*encode(ProbeRequest("a")), b""])
    with pytest.raises(ProtocolError, match="version"):
        decode([msgpack.packb([PROTOCOL_VERSION + 1, 66, "a"])])


@given(st.lists(records, min_size=1, max_size=10))
def test_a_record_adds_its_size_to_a_message(several: list[Record]) -> None:
    overhead = len(encode(Gossip(()))[0])
    assert len(encode(Gossip(tuple(several)))[0]) <= overhead + sum(n_bytes(record) for record in several) + 4


def test_a_ping_is_small() -> None:
    assert len(encode(Ping(1000, True))[0]) < 12
