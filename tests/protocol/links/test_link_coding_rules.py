"""What a link makes coded shares from, and which of the other end's it can read, rule by rule."""

from dataclasses import replace

import numpy as np
import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.coding import OtherBaseError, Replica, coded
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import CODED, Share
from tests.protocol.links.shares import N_PARAMS, SIZE, give_vectors, new_link

NOTHING = Replica(np.zeros(SIZE), np.zeros(N_PARAMS))
"""What has been told with share 0."""


def vectors(seed: int) -> tuple[Array, Array]:
    """Mass and parameters."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(SIZE), rng.standard_normal(N_PARAMS)


def tell(link: Link, seed: int, round_: int = 0) -> Share:
    return give_vectors(link, *vectors(seed), round_)


def test_a_share_is_made_from_the_last_that_was_acknowledged_and_the_newest_that_has_come() -> None:
    here, there = new_link(CODED), new_link(CODED)
    first = tell(here, 0)
    code, told = coded(NOTHING, None, *vectors(0), 0)
    np.testing.assert_array_equal(first.total, code)
    assert there.accept(first, 0, 0.0)
    answer = tell(there, 1)
    code, answered = coded(NOTHING, told, *vectors(1), 0)
    np.testing.assert_array_equal(answer.total, code)
    here.acknowledge(1, None, 0.0)
    assert here.accept(answer, 0, 0.0)
    second = tell(here, 2, round_=1)
    mass, params = vectors(2)
    code, _ = coded(told, answered, told.total + mass, params, 1)
    np.testing.assert_array_equal(second.total, code)
    assert (first.base, answer.base, second.base) == (0, 0, 1)


def test_where_no_round_is_named_a_share_is_as_fine_as_in_the_first() -> None:
    unnamed, of_the_first, of_the_second = (
        new_link(CODED).give(*vectors(0), *rounds)[1].tobytes() for rounds in ((), (0,), (1,))
    )
    assert unnamed == of_the_first != of_the_second


def test_a_coded_share_brings_whole_parameters_and_a_total_that_is_the_ledgers_at_the_other_end() -> None:
    sender, receiver = new_link(CODED), new_link(CODED)
    for round_ in range(3):
        share = tell(sender, round_, round_)
        assert share.params.size == 0
        taken = receiver.accept(share, round_, 0.0)
        assert taken is not None
        np.testing.assert_array_equal(taken.params, sender.proposal)
        assert receiver.apply(round_)
        np.testing.assert_array_equal(receiver.received, sender.sent)
        sender.acknowledge(share.sequence, None, 0.0)
    mass = sum(vectors(seed)[0] for seed in range(3))
    np.testing.assert_allclose(sender.sent, mass, atol=0.1)


def test_the_ends_can_have_parted_only_where_something_coded_was_read() -> None:
    sender, receiver = new_link(CODED), new_link(CODED)

    def made_from_another_base(share: Share) -> Share:
        first_of_checksum, *others = share.total.tobytes()
        return replace(share, total=np.frombuffer(bytes([first_of_checksum ^ 1, *others]), dtype=np.uint8))

    first = tell(sender, 0)
    with pytest.raises(ProtocolError, match="of a link that had none that was coded") as refused:
        receiver.accept(made_from_another_base(first), 0, 0.0)
    assert not isinstance(refused.value, OtherBaseError)
    assert receiver.accept(first, 0, 0.0)
    with pytest.raises(OtherBaseError):
        receiver.accept(made_from_another_base(tell(sender, 1)), 0, 0.0)


@pytest.mark.parametrize(("acknowledged", "is_read"), [(2, False), (3, True)])
def test_a_share_made_from_one_more_than_two_before_the_last_acknowledged_counts_as_lost(
    acknowledged: int, is_read: bool
) -> None:
    here, there = new_link(CODED), new_link(CODED)
    ours = [tell(here, seed) for seed in range(5)]
    for share in ours[:acknowledged]:
        there.accept(share, 0, 0.0)
    late = tell(there, 7)
    here.acknowledge(5, None, 0.0)
    assert (here.accept(late, 0, 0.0) is not None) is is_read
    assert here.newest_received == int(is_read)
    assert here.owes_acknowledgement is is_read


def test_one_end_may_send_coded_shares_and_the_other_whole_ones() -> None:
    """What a coded share says is then made from its own direction alone, so it can always be read."""
    coding, whole = new_link(CODED), new_link(64)
    for round_ in range(4):
        assert coding.accept(tell(whole, round_, round_), round_, 0.0)
        assert whole.accept(tell(coding, 10 + round_, round_), round_, 0.0)
        assert whole.apply(round_)
        assert coding.apply(round_)
        np.testing.assert_array_equal(whole.received, coding.sent)
        np.testing.assert_array_equal(coding.received, whole.sent)
        for link in (coding, whole):
            link.acknowledge(link.sequence, None, 0.0)
