"""The messages by which a machine joins: read as they were written, bounded, and on no other connection."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Message
from p2pnet.protocol.messages.joining import Join, Joined, JoinRefused, decode_joining, encode_joining
from p2pnet.protocol.messages.wire import decode

JOIN = Join(b"n" * 32, "key", b"s" * 32, "bob", b"p" * 32)
MESSAGES = [
    JOIN,
    Joined(b"genesis", (b"one", b"two"), "{}", (("key", "tcp://192.0.2.8:7070"),), False),
    JoinRefused("the invitation has expired"),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_read_as_it_was_written(message: Message) -> None:
    assert decode_joining(encode_joining(message)) == message


@pytest.mark.parametrize("message", MESSAGES)
def test_no_other_connection_reads_it(message: Message) -> None:
    with pytest.raises(ProtocolError):
        decode(encode_joining(message))


@given(st.lists(st.binary(max_size=80), max_size=3))
def test_arbitrary_frames_are_a_protocol_error_at_worst(frames: list[bytes]) -> None:
    try:
        decode_joining(frames)
    except ProtocolError:
        return


def test_what_is_proved_is_all_of_the_request_and_the_connection() -> None:
    changed = [
        replace(JOIN, network=b"x" * 32),
        replace(JOIN, key="other"),
        replace(JOIN, signing_key=b"x" * 32),
        replace(JOIN, name="eve"),
    ]
    transcripts = {message.transcript("connection") for message in (JOIN, *changed)} | {JOIN.transcript("another")}
    assert len(transcripts) == 6
    assert replace(JOIN, proof=bytes(32)).transcript("connection") == JOIN.transcript("connection")
