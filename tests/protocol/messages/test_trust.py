"""The messages by which records spread have bounds."""

import msgpack
import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.messages.trust import HASH_BYTES, MAX_RECORDS_IN_A_MESSAGE, N_BUCKETS, TrustDigest, TrustRecords
from p2pnet.protocol.messages.wire import decode, encode

HASHES = bytes(N_BUCKETS * HASH_BYTES)


@pytest.mark.parametrize("message", [TrustDigest(bytes(32), HASHES), TrustRecords(bytes(32), (b"one", b"two"))])
def test_a_message_is_read_as_it_was_written(message: TrustDigest | TrustRecords) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "header",
    [
        [2, 104, bytes(31), HASHES],
        [2, 104, bytes(32), HASHES[1:]],
        [2, 105, bytes(32), b"records"],
        [2, 105, bytes(32), ["text"]],
        [2, 105, bytes(32), [b""] * (MAX_RECORDS_IN_A_MESSAGE + 1)],
    ],
)
def test_what_is_out_of_bounds_is_a_protocol_error(header: list[object]) -> None:
    with pytest.raises(ProtocolError):
        decode([msgpack.packb(header)])
