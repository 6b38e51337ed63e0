"""Signed records: equal ones have equal bytes, and bytes that are none are a protocol error."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import ProtocolError
from p2pnet.protocol.trust.records import MAX_RECORD_BYTES, Admission, Genesis, Revocation, SignedRecord
from tests.protocol.trust.signing import GENESIS, admitted, granted, key, signed, verify

RECORDS = [
    granted("ann"),
    admitted("bob", key("ann"), invitation=bytes(16)),
    admitted("bob-2", key("ann"), replaces="bob"),
    signed(Revocation("bob", (bytes(16), bytes([1]) * 16))),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_read_as_it_was_written(record: SignedRecord) -> None:
    assert SignedRecord.read(record.data) == record
    assert SignedRecord.read(record.data).digest == record.digest
    assert record.is_signed(GENESIS.network_id, verify)


@pytest.mark.parametrize("record", RECORDS)
def test_whoever_changes_a_record_breaks_its_signature(record: SignedRecord) -> None:
    assert not replace(record, fact=replace(record.fact, key="eve")).is_signed(GENESIS.network_id, verify)
    assert not replace(record, signer=key("eve")).is_signed(GENESIS.network_id, verify)


def test_a_signature_of_one_network_is_none_of_another() -> None:
    other = replace(GENESIS, salt=b"x" * 16)
    assert other.network_id != GENESIS.network_id
    assert not admitted("bob").is_signed(other.network_id, verify)


def test_a_genesis_is_read_as_it_was_written_and_its_id_is_that_of_all_of_it() -> None:
    assert Genesis.read(GENESIS.data) == GENESIS
    others = [
        replace(GENESIS, name="x"),
        replace(GENESIS, root=b"x" * 32),
        replace(GENESIS, next_root=b"x" * 32),
        replace(GENESIS, salt=b"x" * 16),
    ]
    assert len({one.network_id for one in (GENESIS, *others)}) == 5


def one_byte_changed(data: bytes) -> st.SearchStrategy[bytes]:
    return st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)).map(
        lambda change: data[: change[0]] + bytes([change[1]]) + data[change[0] + 1 :]
    )


@given(st.binary(max_size=64) | st.sampled_from(RECORDS).flatmap(lambda record: one_byte_changed(record.data)))
def test_bytes_are_a_record_or_a_protocol_error(data: bytes) -> None:
    for kind in (SignedRecord, Genesis):
        try:
            kind.read(data)
        except ProtocolError:
            continue


def test_a_record_longer_than_any_is_not_read() -> None:
    with pytest.raises(ProtocolError, match="at most"):
        SignedRecord.read(bytes(MAX_RECORD_BYTES + 1))


def test_a_record_of_a_later_release_is_named() -> None:
    data = bytearray(admitted("bob").data)
    data[1] = 2
    with pytest.raises(ProtocolError, match="version 2"):
        SignedRecord.read(bytes(data))


def test_the_name_of_a_member_has_a_limit() -> None:
    with pytest.raises(ProtocolError, match="64 characters"):
        SignedRecord.read(signed(Admission("bob", key("bob"), "b" * 65)).data)
