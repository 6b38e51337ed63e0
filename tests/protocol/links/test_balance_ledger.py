"""A ledger of the balance alone says of a link what whole totals say, whatever is lost, late, repeated or overtaken."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, Nonce
from p2pnet.protocol.links.balance_ledger import MOST_TERMS, BalanceLedger, Course
from p2pnet.protocol.links.ledger import CHUNK
from p2pnet.protocol.links.link import LARGE_BYTES, Link
from p2pnet.protocol.messages.training import CODED, Share
from tests.protocol.links.shares import give_vectors

SIZE, N_PARAMS = 5, 3


def end_of_link(mine: int, theirs: int, *, is_net: bool, size: int = SIZE, n_params: int = N_PARAMS) -> Link:
    link_id = LinkId(Nonce(1, mine), Nonce(1, theirs))
    return Link(link_id, size, n_params, 32, ResendTimer(0.2, 1.0), is_single=is_net)


@dataclass
class End:
    """One end of a link, with a ledger of the balance and with whole totals, and the shares on their way to it."""

    net: Link
    whole: Link
    coming: list[Share] = field(default_factory=list)

    def give(self, mass: Array, round_: int) -> Share:
        share = give_vectors(self.net, mass.astype("f4"), np.zeros(N_PARAMS, dtype="f4"), round_)
        same = give_vectors(self.whole, mass, np.zeros(N_PARAMS), round_)
        assert (share.base, share.acknowledged) == (same.base, same.acknowledged)
        np.testing.assert_array_equal(share.total, same.total)
        assert share.total.dtype == share.params.dtype == np.float32
        return share

    def accept(self, share: Share, round_: int) -> None:
        for link in (self.net, self.whole):
            link.accept(share, round_, 0.0)
            link.acknowledge(share.acknowledged, None, 0.0)

    def check(self) -> None:
        net, whole = self.net, self.whole
        np.testing.assert_array_equal(net.received, whole.received - whole.sent)
        assert not net.sent.any()
        assert net.imbalance() == pytest.approx(whole.imbalance(), rel=1e-12)
        np.testing.assert_allclose(net.moved(), whole.moved(), rtol=1e-12, atol=1e-300)
        assert net.n_received() == whole.n_received()
        assert (net.newest_received, net.missing, net.has_news) == (
            whole.newest_received,
            whole.missing,
            whole.has_news,
        )
        mass = np.ones(SIZE)
        net.add_to(mass)
        np.testing.assert_array_equal(mass, 1.0 + whole.received - whole.sent)
        assert net.weight_added_to(1.0) == mass[-1]


def two_ends() -> tuple[End, End]:
    return (
        End(end_of_link(1, 2, is_net=True), end_of_link(1, 2, is_net=False)),
        End(end_of_link(2, 1, is_net=True), end_of_link(2, 1, is_net=False)),
    )


whole_numbers = st.lists(st.integers(-50, 50), min_size=SIZE, max_size=SIZE)
commands = st.one_of(
    st.tuples(st.just("give"), st.integers(0, 1), whole_numbers),
    st.tuples(st.sampled_from(["deliver", "repeat", "lose"]), st.integers(0, 1), st.integers(0, 3)),
    st.tuples(st.sampled_from(["acknowledge", "mix"]), st.integers(0, 1), st.integers(0, 1)),
)


@given(st.lists(commands, max_size=60))
def test_the_balance_is_that_of_whole_totals_after_every_schedule(schedule: list[tuple[str, int, object]]) -> None:
    ends = two_ends()
    rounds = [0, 0]
    for command, k, argument in schedule:
        end, other = ends[k], ends[1 - k]
        match command, argument:
            case "give", list(numbers) if end.net.is_window_open(1e9):
                other.coming.append(end.give(np.array(numbers, dtype=np.float64), rounds[k]))
                rounds[k] += 1
            case (("deliver" | "repeat"), int(place)) if place < len(end.coming):
                share = end.coming[place] if command == "repeat" else end.coming.pop(place)
                end.accept(share, rounds[k])
            case "lose", int(place) if place < len(end.coming):
                end.coming.pop(place)
            case "acknowledge", _:
                for link in (end.net, end.whole):
                    link.acknowledge(other.net.newest_received, other.net.missing, 0.0)
            case "mix", _:
                assert end.net.apply(rounds[k]) == end.whole.apply(rounds[k])
            case _:
                pass
        for each in ends:
            each.check()


def test_both_ledgers_say_how_many_samples_and_how_large_a_gradient_the_first_share_has_brought() -> None:
    for is_net in (True, False):
        giver, taker = end_of_link(1, 2, is_net=is_net), end_of_link(2, 1, is_net=is_net)
        assert taker.gradient_received(N_PARAMS) == taker.n_received() == 0.0
        first = np.array([3.0, 4.0, 0.0, 7.0, 1.0], dtype="f4")
        taker.accept(give_vectors(giver, first, np.zeros(N_PARAMS, dtype="f4"), 0), 0, 0.0)
        assert (taker.gradient_received(N_PARAMS), taker.n_received()) == (5.0, 7.0)
        assert taker.moved().tolist() == first.tolist()


def test_a_link_in_step_keeps_what_the_newest_share_has_carried_and_the_balance() -> None:
    """Each share is made from the one before: then nothing is copied, neither of those sent nor of those received."""
    one, other = end_of_link(1, 2, is_net=True), end_of_link(2, 1, is_net=True)
    shares = []
    for round_ in range(4):
        mass = np.full(SIZE, 1.0 + round_, dtype="f4")
        share = give_vectors(one, mass, np.zeros(N_PARAMS, dtype="f4"), round_)
        assert share.total is mass
        shares.append(share)
        other.accept(share, round_, 0.0)
        other.apply(round_)
        one.acknowledge(share.sequence, None, 0.0)
    assert isinstance(other.ledger, BalanceLedger)
    assert isinstance(one.ledger, BalanceLedger)
    assert one.ledger._sent._beyond == {4: ()}
    beyond = other.ledger._received._beyond
    assert {sequence: [(s, v is shares[-1].total) for s, v in terms] for sequence, terms in beyond.items()} == {
        3: [],
        4: [(1, True)],
    }
    np.testing.assert_array_equal(other.received, np.full(SIZE, 10.0))
    np.testing.assert_array_equal(one.received, np.full(SIZE, -10.0))


def test_the_shares_before_the_newest_are_let_go_once_a_newer_one_waits() -> None:
    link = end_of_link(1, 2, is_net=True)
    sender = end_of_link(2, 1, is_net=True)
    for round_ in (0, 1):
        share = give_vectors(sender, np.ones(SIZE, dtype="f4"), np.ones(N_PARAMS, dtype="f4"), round_)
        link.accept(share, round_, 0.0)
        if round_ == 0:
            link.apply(0)
            assert link.latest is not None
            assert link.latest.params.size == N_PARAMS
    assert link.latest is not None
    assert link.latest.round == 0
    assert link.latest.params.size == 0


def test_a_difference_of_many_shares_is_kept_as_one_vector() -> None:
    course = Course()
    vectors = [np.array([2.0**-k], dtype="f4") for k in range(6)]
    for k, vector in enumerate(vectors):  # each from the last but one, as where acknowledgements lag behind
        course.go_on(k + 1, max(k - 1, 0), vector)
        course.keep([max(k - 1, 0), k, k + 1])
    assert all(len(terms) <= MOST_TERMS for terms in course._beyond.values())
    change = course.change(6, 5)
    totals = [0.0]
    for k, vector in enumerate(vectors):
        totals.append(totals[max(k - 1, 0)] + float(vector[0]))
    assert sum(sign * float(vector[0]) for sign, vector in change) == totals[6] - totals[5]


def test_sums_of_many_parts_are_those_of_the_whole() -> None:
    """Chunk by chunk, the last of them shorter."""
    size = CHUNK + 7
    rng = np.random.default_rng(0)
    link = end_of_link(1, 2, is_net=True, size=size, n_params=size - 2)
    first, second = (rng.standard_normal(size).astype("f4") for _ in range(2))
    give_vectors(link, first, np.zeros(size - 2, dtype="f4"), 0)
    share = give_vectors(link, second, np.zeros(size - 2, dtype="f4"), 1)
    assert share.base == 0
    np.testing.assert_array_equal(share.total, (second.astype(np.float64) + first).astype("f4"))
    np.testing.assert_array_equal(link.received, -share.total.astype(np.float64))
    assert link.imbalance() == pytest.approx(float(np.linalg.norm(share.total.astype(np.float64))), rel=1e-12)


def test_what_is_rounded_away_stays_with_the_sender_for_ten_thousand_rounds() -> None:
    """The two ends' balances add up to nothing, to the rounding of double precision, however old the link is."""
    rng = np.random.default_rng(1)
    one, other = end_of_link(1, 2, is_net=True), end_of_link(2, 1, is_net=True)
    for round_ in range(10_000):
        for sender, receiver in ((one, other), (other, one)):
            mass = (rng.standard_normal(SIZE) * 10.0 ** rng.integers(-6, 3)).astype("f4")
            receiver.accept(give_vectors(sender, mass, np.zeros(N_PARAMS, dtype="f4"), round_), round_, 0.0)
            sender.acknowledge(sender.sequence, None, 0.0)
        one.apply(round_)
        other.apply(round_)
    assert np.abs(one.received).max() > 1e3
    assert float(np.abs(one.received + other.received).max()) < 1e-12 * float(np.abs(one.received).max())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"precision": CODED, "total": np.zeros(3, dtype=np.uint8)}, "reads coded shares"),
        ({"account": 1}, "Share.account: 1 instead of 0"),
        ({"curvature": np.zeros(1, dtype=np.uint8)}, "Share.curvature"),
        ({"base": 7}, "Share.base: share 7"),
        ({"total": np.zeros(SIZE + 1, dtype="f4")}, "Share.total: 6 numbers instead of 5"),
        ({"params": np.zeros(1, dtype="f4")}, "Share.params: 1 numbers instead of 3"),
    ],
)
def test_a_share_that_cannot_be_entered_changes_nothing(changes: dict[str, object], problem: str) -> None:
    link, sender = end_of_link(1, 2, is_net=True), end_of_link(2, 1, is_net=True)
    share = give_vectors(sender, np.ones(SIZE, dtype="f4"), np.zeros(N_PARAMS, dtype="f4"), 0)
    with pytest.raises(ProtocolError, match=problem):
        link.accept(replace(share, **changes), 0, 0.0)  # type: ignore[arg-type]
    assert (link.newest_received, link.has_news) == (0, False)
    link.accept(share, 0, 0.0)
    link.apply(0)
    np.testing.assert_array_equal(link.received, np.ones(SIZE))


def test_totals_of_double_precision_are_read_as_well() -> None:
    link = end_of_link(1, 2, is_net=True)
    sender = Link(LinkId(Nonce(1, 2), Nonce(1, 1)), SIZE, N_PARAMS, 64, ResendTimer(0.2, 1.0))
    for round_ in range(12):  # more than may be bases
        link.accept(give_vectors(sender, np.full(SIZE, 0.1), np.zeros(N_PARAMS), round_), round_, 0.0)
        link.apply(round_)
    np.testing.assert_allclose(link.received, sender.sent, rtol=1e-15)


@pytest.mark.parametrize(("n_params", "delay_s"), [(LARGE_BYTES // 8, 0.0), (LARGE_BYTES // 8 - 2, 0.05)])
def test_a_large_share_is_acknowledged_at_once(n_params: int, delay_s: float) -> None:
    link = end_of_link(1, 2, is_net=True, size=n_params + 2, n_params=n_params)
    sender = end_of_link(2, 1, is_net=True, size=n_params + 2, n_params=n_params)
    mass, params = np.zeros(n_params + 2, dtype="f4"), np.zeros(n_params, dtype="f4")
    link.accept(give_vectors(sender, mass, params, 0), 0, 10.0)
    assert link.is_acknowledgement_due(10.0 + delay_s)
    assert not link.is_acknowledgement_due(10.0 + delay_s - 1e-9)
