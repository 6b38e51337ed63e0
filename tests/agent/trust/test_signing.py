"""Keys that sign: derived, never shown, and of one network each."""

import pytest

from p2pnet.agent.transport.keys import generate_keys
from p2pnet.agent.trust.managing import NO_SIGNING_KEY
from p2pnet.agent.trust.signing import Recovery, Signer, proof, signer_of, verify
from p2pnet.errors import SecurityError
from p2pnet.protocol.trust.records import Admission


def test_a_record_is_believed_of_its_signer_and_in_its_network_alone() -> None:
    signer = signer_of(generate_keys())
    record = signer.sign(b"n" * 32, Admission("key", signer.public, "bob"))
    assert record.is_signed(b"n" * 32, verify)
    assert not record.is_signed(b"m" * 32, verify)


def test_an_agents_key_has_one_signing_key_and_that_shows_nothing_of_it() -> None:
    keys = generate_keys()
    assert signer_of(keys) == signer_of(keys)
    assert signer_of(keys).public != signer_of(generate_keys()).public
    assert repr(signer_of(keys)) == "Signer()"


def test_the_recovery_line_gives_the_root_key_again() -> None:
    recovery = Recovery.make()
    genesis = recovery.genesis("ward")
    assert Recovery.from_line(recovery.to_line()).root.public == genesis.root
    assert recovery.genesis("ward").network_id != genesis.network_id  # of the same keys, and yet another network
    assert genesis.next_root not in (genesis.root, recovery.genesis("ward").root)


def test_only_the_two_can_make_the_proof() -> None:
    one, other, third = generate_keys(), generate_keys(), generate_keys()
    assert proof(one, other.public, b"t") == proof(other, one.public, b"t")
    assert proof(one, other.public, b"t") != proof(one, other.public, b"u")
    assert proof(third, other.public, b"t") != proof(one, other.public, b"t")


def test_a_key_that_would_make_the_proof_a_constant_is_refused() -> None:
    with pytest.raises(SecurityError):
        proof(generate_keys(), "0" * 40, b"t")


def test_a_signer_made_of_the_same_seed_is_the_same() -> None:
    assert Signer(b"s" * 32).public == Signer(b"s" * 32).public


def test_nothing_is_signed_right_by_the_key_of_a_member_that_signs_nothing() -> None:
    point_of_small_order = bytes([1]) + bytes(31)
    for signature in (bytes(64), point_of_small_order + bytes(32)):
        for message in (b"", b"anything"):
            assert not verify(NO_SIGNING_KEY, message, signature)
