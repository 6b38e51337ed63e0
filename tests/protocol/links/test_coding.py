"""Coded shares: both ends of a link keep the same replicas, whatever becomes of the messages."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, Nonce, WireArray
from p2pnet.protocol.links.coding import CodeReader, CurvatureTold, OtherBaseError, Replica, coded, read
from p2pnet.protocol.links.link import MAX_UNACKNOWLEDGED, Link
from p2pnet.protocol.links.rounding import pack_lists
from p2pnet.protocol.messages.training import CODED, Share
from tests.protocol.links.shares import give_vectors

EARLY_ROUNDS, EARLY_FINENESS, FINENESS, FINENESS_FROM_ZERO = 10, 0.3, 0.177, 1 / 2048
LEAST_EARLY_FINENESS, LEAST_FINENESS = 1 / 1024, 0.0526
N_EXACT = 2
"""The samples and the weight."""
N_PARAMS = 300
SIZE = N_PARAMS + N_EXACT
LARGE = 5000
"""Parameters of a model that is not small."""
BEHIND_COUNTS = 4 + 2 * 8
"""Where a code says how many bytes a coefficient of the total has: behind the checksum, and samples and weight."""
LATER = 100
"""A round that is none of the first."""


def new_link(mine: int = 1, theirs: int = 2) -> Link:
    return Link(LinkId(Nonce(1, mine), Nonce(1, theirs)), SIZE, N_PARAMS, CODED, ResendTimer(0.2, 1.0))


def give(link: Link, mass: Array, params: Array, round_: int = 0) -> Share:
    share = give_vectors(link, mass, params, round_)
    link.keep(share, 0.0)
    return share


def origin() -> Replica:
    return Replica(np.zeros(SIZE), np.zeros(N_PARAMS))


def share_of(code: WireArray, sequence: int = 1, base: int = 0) -> Share:
    link = new_link()
    empty = np.empty(0, dtype=np.uint8)
    share = give(link, np.zeros(SIZE), np.zeros(N_PARAMS))
    return replace(share, sequence=sequence, base=base, total=code, params=empty)


@given(st.integers(-300, 300), st.integers(0, 2**32 - 1))
def test_what_is_read_is_what_the_sender_keeps_and_near_what_it_had_to_say(power: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    total, params = (10.0**power * rng.standard_normal(n) for n in (SIZE, N_PARAMS))
    code, told = coded(origin(), None, total, params, LATER)
    heard = read(share_of(code), origin(), None)
    np.testing.assert_array_equal(heard.total, told.total)
    np.testing.assert_array_equal(heard.params, told.params)
    errors = [(one - other)[:N_PARAMS] / 10.0**power for one, other in ((told.total, total), (told.params, params))]
    assert max(np.linalg.norm(error) for error in errors) < FINENESS * np.sqrt(N_PARAMS)
    if abs(power) < 30:
        np.testing.assert_allclose(told.total[N_PARAMS:], total[N_PARAMS:], rtol=1e-7)


def test_what_repeats_itself_is_predicted_and_takes_few_bytes() -> None:
    """Totals that grow evenly and parameters that stay: but for the first shares there is nothing to be said."""
    rng = np.random.default_rng(0)
    mass, params = rng.standard_normal(SIZE), rng.standard_normal(N_PARAMS)
    base, sizes = origin(), []
    for number in range(1, 30):
        code, base = coded(base, None, number * mass, params, number)
        sizes.append(len(code))
    np.testing.assert_allclose(base.total, 29 * mass, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(base.params, params, rtol=1e-9, atol=1e-9)
    assert sizes[0] > 300


def test_the_error_falls_with_what_cannot_be_predicted() -> None:
    """A course that comes to rest is followed ever more exactly, at the same number of bits."""
    rng = np.random.default_rng(1)
    end, base = rng.standard_normal(N_PARAMS), origin()
    errors = []
    for number in range(1, 40):
        params = end + 0.5**number * rng.standard_normal(N_PARAMS)
        _, base = coded(base, None, np.zeros(SIZE), params, number)
        errors.append(float(np.linalg.norm(base.params - params)))
    assert errors[-1] < 1e-8 * errors[0]


def relative_errors(n_params: int, round_: int, n_before: int = 0) -> tuple[float, float]:
    """What rounding makes of a total and of parameters of so many normally distributed numbers, after so many shares
    that say nothing of them.
    """
    start = Replica(np.zeros(n_params + N_EXACT), np.zeros(n_params))
    rng = np.random.default_rng(2)
    for _ in range(n_before):
        total, params = (1e-9 * rng.standard_normal(n) for n in (n_params + N_EXACT, n_params))
        _, start = coded(start, None, total, params, round_)
    total, params = (rng.standard_normal(n) for n in (n_params + N_EXACT, n_params))
    _, told = coded(start, None, total, params, round_)
    pairs = ((told.total[:n_params], total[:n_params]), (told.params, params))
    sizes = [float(np.linalg.norm(one - other) / np.linalg.norm(other)) for one, other in pairs]
    return sizes[0], sizes[1]


def test_the_first_totals_and_all_that_is_told_from_nothing_are_finer() -> None:
    totals = [relative_errors(LARGE, round_)[0] for round_ in range(EARLY_ROUNDS)]
    usual = EARLY_FINENESS / np.sqrt(12)
    np.testing.assert_allclose(totals[:3], [usual / 4, usual / 2, usual], rtol=0.25)
    assert totals[3:] == [totals[2]] * (EARLY_ROUNDS - 3)
    np.testing.assert_allclose(relative_errors(LARGE, 5)[1], usual / 4, rtol=0.25)
    np.testing.assert_allclose(relative_errors(LARGE, EARLY_ROUNDS), FINENESS_FROM_ZERO / np.sqrt(12), rtol=0.25)


def test_over_a_link_that_has_told_something_the_first_rounds_are_rounder_than_later_ones() -> None:
    for round_, fineness in ((EARLY_ROUNDS - 1, EARLY_FINENESS), (EARLY_ROUNDS, FINENESS), (LATER, FINENESS)):
        errors = relative_errors(LARGE, round_, n_before=3)
        np.testing.assert_allclose(errors, fineness / np.sqrt(12), rtol=0.25)


def test_a_replica_remembers_the_two_before_it_and_shows_none_of_their_numbers() -> None:
    rng, base = np.random.default_rng(4), origin()
    for round_ in range(5):
        bases = [base, *base.before]
        _, base = coded(base, None, rng.standard_normal(SIZE), rng.standard_normal(N_PARAMS), round_)
        assert [replica.checksum() for replica in base.before] == [replica.checksum() for replica in bases[:2]]
        assert not any(replica.before for replica in base.before)
    assert len(base.before) == 2
    assert repr(replace(base, curvature=CurvatureTold(np.ones(2), (np.ones(2),), np.ones(2)))) == "Replica()"


def test_nothing_was_told_of_curvature_by_who_has_told_nothing() -> None:
    nothing = origin().curvature
    assert (nothing.total.size, nothing.before, nothing.flow.size) == (0, (), 0)
    assert repr(CurvatureTold(np.ones(2), (np.ones(2),), np.ones(2))) == "CurvatureTold()"


def test_where_nothing_is_new_coefficients_take_two_bytes() -> None:
    rng, base = np.random.default_rng(5), origin()
    for round_ in range(2):
        _, base = coded(base, None, rng.standard_normal(SIZE), np.zeros(N_PARAMS), LATER + round_)
    code, told = coded(base, None, base.total, np.zeros(N_PARAMS), LATER)
    assert code[BEHIND_COUNTS] == 2
    np.testing.assert_array_equal(told.total, base.total)


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_what_can_be_predicted_is_whatever_its_size(size: float) -> None:
    """Totals that grow like 1, 1.3, 1.69: only the last two shares have to be known."""
    rng = np.random.default_rng(6)
    step, base = size * rng.standard_normal(SIZE), origin()
    total = np.zeros(SIZE)
    for number in range(6):
        total = total + 1.3**number * step
        _, base = coded(base, None, total, np.zeros(N_PARAMS), LATER)
    np.testing.assert_allclose(base.total, total, atol=1e-4 * float(np.abs(total).max()))


def test_numbers_too_large_to_be_squared_are_told_without_prediction() -> None:
    """The coefficients are zeros then, of two bytes; the first share has none, of eight."""
    rng = np.random.default_rng(7)
    totals = [1e200 * rng.standard_normal(SIZE) for _ in range(3)]
    base = heard = origin()
    for total, n_bytes in zip(totals, (8, 2, 2), strict=True):
        code, base = coded(base, None, total, np.zeros(N_PARAMS), LATER)
        assert code[BEHIND_COUNTS] == n_bytes
        heard = read(share_of(code), heard, None)
        np.testing.assert_array_equal(heard.total, base.total)
        np.testing.assert_allclose(base.total, total, atol=0.1 * float(np.abs(totals).max()))


def test_the_last_change_of_what_the_other_end_has_told_predicts_totals() -> None:
    """An answer that is that change is told nearly without error; the change before it is as new as any other."""
    rng = np.random.default_rng(8)
    still, errors = np.zeros(N_PARAMS), []
    for age in (0, 1):
        base = theirs = origin()
        for _ in range(3):
            _, theirs = coded(theirs, None, rng.standard_normal(SIZE), still, LATER)
            _, base = coded(base, None, rng.standard_normal(SIZE), still, LATER)
        kept = [theirs, *theirs.before]
        answer = base.total + kept[age].total - kept[age + 1].total
        _, told = coded(base, theirs, answer, still, LATER)
        errors.append(float(np.linalg.norm(told.total - answer)))
    assert errors[0] < 0.01 * errors[1]


def test_coefficients_take_no_more_bytes_than_they_need() -> None:
    """Those of a course that is mostly new, and of one that is a multiple of the last change to five digits."""
    rng = np.random.default_rng(3)
    step, other = rng.standard_normal(SIZE), rng.standard_normal(SIZE)
    still = np.zeros(N_PARAMS)
    _, base = coded(origin(), None, step, still, LATER)
    _, base = coded(base, None, 2.0 * step, still, LATER)
    change = base.total - base.before[0].total
    n_bytes = {}
    for name, new in (("mostly new", 1.0), ("a multiple", 1e-5)):
        total = base.total + (1 / 3) * change + new * other
        code, told = coded(base, None, total, still, LATER)
        n_bytes[name] = int(code[BEHIND_COUNTS])
        np.testing.assert_allclose(told.total, total, atol=0.2 * np.abs(other).max())
    assert n_bytes == {"mostly new": 2, "a multiple": 4}


@pytest.mark.parametrize(("new", "n_bytes"), [(1.0, 2), (1e-3, 2), (5e-4, 4), (1e-6, 4), (5e-8, 8)])
def test_shorter_coefficients_add_a_tenth_at_most_to_what_is_left(new: float, n_bytes: int) -> None:
    """Of a third of the last change, which two bytes are off by 8e-5 of it and four by 1e-8, and of so much beside."""
    last, beside = np.zeros(SIZE), np.zeros(SIZE)
    last[0] = beside[1] = 1.0
    base = replace(origin(), total=last, before=(origin(),))
    code, _ = coded(base, None, last + last / 3 + new * beside, np.zeros(N_PARAMS), LATER)
    assert code[BEHIND_COUNTS] == n_bytes


def test_parameters_are_finer_only_where_nothing_predicts_them() -> None:
    """What the other end has told predicts them already with a link's first share."""
    n, rng = LARGE, np.random.default_rng(2)
    start = Replica(np.zeros(n + N_EXACT), np.zeros(n))
    total, params = rng.standard_normal(n + N_EXACT), rng.standard_normal(n)
    other = Replica(np.zeros(n + N_EXACT), rng.standard_normal(n))
    for each, fineness in ((None, EARLY_FINENESS / 4), (other, EARLY_FINENESS)):
        _, told = coded(start, each, total, params, 5)
        error = np.linalg.norm(told.params - params) / np.linalg.norm(params)
        assert error == pytest.approx(fineness / np.sqrt(12), rel=0.25)


@pytest.mark.parametrize(("precision", "number", "is_added"), [(64, 0, False), (64, 1, True), (32, 0, True)])
def test_a_share_that_is_not_coded_tells_its_total_or_what_is_added_to_that_of_its_base(
    precision: int, number: int, is_added: bool
) -> None:
    share = replace(share_of(np.ones(SIZE), 2, number), precision=precision, params=np.full(N_PARAMS, 5.0))
    heard = read(share, Replica(np.full(SIZE, 10.0), np.zeros(N_PARAMS)), None)
    np.testing.assert_array_equal(heard.total, np.full(SIZE, 11.0 if is_added else 1.0))
    np.testing.assert_array_equal(heard.params, np.full(N_PARAMS, 5.0))


@pytest.mark.parametrize("place", ["total", "params"])
def test_what_cannot_be_added_to_a_base_is_refused(place: str) -> None:
    """As by one who says something true of one that is far from what is here."""
    total, params = np.zeros(SIZE), np.zeros(N_PARAMS)
    (total if place == "total" else params)[:] = 1e308
    base = Replica(total, params)
    code, _ = coded(origin(), None, 1.5 * total, 1.5 * params, LATER)
    forged = base.checksum().to_bytes(4, "little") + code.tobytes()[4:]
    with pytest.raises(ProtocolError, match="not finite"):
        read(share_of(np.frombuffer(forged, dtype=np.uint8)), base, None)


@pytest.mark.parametrize(
    ("n_params", "early", "later"),
    [
        (LARGE, EARLY_FINENESS, FINENESS),
        (2410, EARLY_FINENESS, FINENESS),
        (1024, 1 / 16, 1 / 8),
        (640, 0.0244, 0.0781),
        (300, 0.00536, LEAST_FINENESS),
        (100, LEAST_EARLY_FINENESS, LEAST_FINENESS),
        (20, LEAST_EARLY_FINENESS, LEAST_FINENESS),
    ],
)
def test_shares_of_small_models_are_finer_most_of_all_in_the_first_rounds(
    n_params: int, early: float, later: float
) -> None:
    for round_, fineness in ((5, early), (EARLY_ROUNDS - 1, early), (EARLY_ROUNDS, later), (LATER, later)):
        error = relative_errors(n_params, round_, n_before=3)[0]
        assert error == pytest.approx(fineness / np.sqrt(12), rel=0.42)


def test_sums_beside_the_gradient_are_rounded_to_single_precision_and_do_not_coarsen_it() -> None:
    rng = np.random.default_rng(4)
    gradient, sums, counts = rng.standard_normal(N_PARAMS), 1e6 * rng.standard_normal(7), np.array([150.0, 1 / 3])
    total, start = np.concatenate([gradient, sums, counts]), Replica(np.zeros(N_PARAMS + 9), np.zeros(N_PARAMS))
    code, told = coded(start, None, total, np.zeros(N_PARAMS), 5)
    heard = read(share_of(code), start, None)
    np.testing.assert_array_equal(heard.total, told.total)
    assert np.linalg.norm(told.total[:N_PARAMS] - gradient) < LEAST_FINENESS * np.linalg.norm(gradient)
    np.testing.assert_array_equal(told.total[N_PARAMS:-N_EXACT], sums.astype(np.float32))
    np.testing.assert_array_equal(told.total[-N_EXACT:], counts)


def test_a_whole_total_is_not_copied() -> None:
    share = replace(share_of(np.ones(SIZE)), precision=64, params=np.zeros(N_PARAMS))
    assert read(share, origin(), None).total is share.total


def test_a_code_is_read_to_its_last_byte_and_no_further() -> None:
    numbers = np.array([3, 0, -1], dtype=np.int16)
    reader = CodeReader(b"ab" + np.array([0.5, 2.0]).astype("<f4").tobytes() + b"c", "Share.name")
    assert reader.take(2) == b"ab"
    assert reader.numbers("<f4", 2).tolist() == [0.5, 2.0]
    assert reader.take(1) == b"c"
    with pytest.raises(ProtocolError, match=r"^Share\.name: a code that is too short$"):
        reader.take(1)
    with pytest.raises(ProtocolError, match=r"^Share\.name: coefficients of 3 bytes$"):
        CodeReader(b"\3", "Share.name").sum(np.zeros(2), [])
    reader = CodeReader(b"c" + pack_lists([numbers, numbers[:2]]))
    assert reader.take(1) == b"c"
    assert [each.tolist() for each in reader.lists([3, 2])] == [[3, 0, -1], [3, 0]]


def test_a_share_that_was_made_from_another_base_is_told_from_one_that_was_not() -> None:
    code, _ = coded(origin(), None, np.ones(SIZE), np.ones(N_PARAMS), 1)
    parted = Replica(np.zeros(SIZE), np.full(N_PARAMS, 5e-324))
    with pytest.raises(OtherBaseError, match=r"Share\.base: share 0"):
        read(share_of(code), parted, None)


@given(st.binary(max_size=400), st.booleans())
def test_other_bytes_are_a_protocol_error(content: bytes, has_checksum: bool) -> None:
    head = origin().checksum().to_bytes(4, "little") if has_checksum else b""
    with pytest.raises(ProtocolError):
        read(share_of(np.frombuffer(head + content, dtype=np.uint8)), origin(), None)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_code_in_which_a_byte_is_another_is_a_protocol_error_at_worst(place: int, value: int) -> None:
    rng = np.random.default_rng(0)
    base = coded(origin(), None, rng.standard_normal(SIZE), rng.standard_normal(N_PARAMS), 1)[1]
    code, _ = coded(base, None, rng.standard_normal(SIZE), rng.standard_normal(N_PARAMS), 2)
    changed = code.copy()
    changed[place % len(code)] = value
    try:
        heard = read(share_of(changed, 2, 1), base, None)
    except ProtocolError:
        return
    assert heard.total.shape == (SIZE,)
    assert np.isfinite(heard.params).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308])
def test_numbers_that_are_not_finite_are_refused_and_do_no_harm_to_the_sender(value: float) -> None:
    link, other = new_link(), new_link(2, 1)
    share = give(link, np.full(SIZE, value), np.full(N_PARAMS, value))
    if np.isfinite(value):
        assert other.accept(share, 0, 0.0)
        return
    with pytest.raises(ProtocolError, match="not finite"):
        other.accept(share, 0, 0.0)


def test_a_share_that_names_one_of_ours_that_is_no_longer_kept_counts_as_lost() -> None:
    one, other = new_link(), new_link(2, 1)
    rng = np.random.default_rng(0)

    def next_share(link: Link, round_: int) -> Share:
        return give(link, rng.standard_normal(SIZE), rng.standard_normal(N_PARAMS), round_)

    late = None
    for round_ in range(8):
        from_one, from_other = next_share(one, round_), next_share(other, round_)
        if round_ == 1:
            late = from_other
        one.acknowledge(from_other.acknowledged, None, 0.0)
        if late is None:
            assert one.accept(from_other, round_, 0.0)
        assert other.accept(from_one, round_, 0.0)
        one.acknowledge(from_one.sequence, None, 0.0)
    assert late is not None
    assert one.accept(late, 1, 0.0) is None


@dataclass
class End:
    """One end of the link, and all that it has said."""

    link: Link
    total: Array = field(default_factory=lambda: np.zeros(SIZE))
    """The mass that it meant to send in all."""
    said: dict[int, tuple[Array, WireArray]] = field(default_factory=dict)
    """What it keeps of each share: the total in its ledger, and its parameters as the other end reads them."""
    in_flight: list[Share] = field(default_factory=list)


class AnySchedule(RuleBasedStateMachine):
    """Two ends that tell each other coded shares, which are lost, overtaken and repeated."""

    @initialize(seed=st.integers(0, 2**32 - 1), power=st.integers(-100, 100))
    def begin(self, seed: int, power: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.scale = 10.0**power
        self.round = 0
        self.ends = [End(new_link(1, 2)), End(new_link(2, 1))]

    @rule(sender=st.integers(0, 1), calm=st.sampled_from([1.0, 1e-3, 0.0]))
    def give(self, sender: int, calm: float) -> None:
        end = self.ends[sender]
        link = end.link
        if link.sequence - link.acknowledged >= MAX_UNACKNOWLEDGED:
            return
        self.round += 1
        mass, params = (calm * self.scale * self.rng.standard_normal(n) for n in (SIZE, N_PARAMS))
        before = link.sent
        share = give(link, mass, params, self.round)
        assert link.proposal is not None
        end.said[share.sequence] = link.sent, link.proposal
        end.in_flight.append(share)
        # What rounding left out is not booked as sent: it is the sender's still.
        assert np.isfinite(link.sent - before).all()

    @precondition(lambda self: any(end.in_flight for end in self.ends))
    @rule(data=st.data(), is_kept=st.booleans())
    def deliver(self, data: st.DataObject, is_kept: bool) -> None:
        sender = data.draw(st.sampled_from([k for k in (0, 1) if self.ends[k].in_flight]))
        end, receiver = self.ends[sender], self.ends[1 - sender].link
        share = data.draw(st.sampled_from(end.in_flight))
        if not is_kept:
            end.in_flight = [other for other in end.in_flight if other is not share]
        accepted = receiver.accept(share, -1, 0.0)
        receiver.acknowledge(share.acknowledged, None, 0.0)
        if accepted is not None:
            np.testing.assert_array_equal(accepted.params, end.said[share.sequence][1])
            receiver.apply(share.round)

    @rule(sender=st.integers(0, 1))
    def lose_all(self, sender: int) -> None:
        self.ends[sender].in_flight = []

    @rule(sender=st.integers(0, 1))
    def acknowledge(self, sender: int) -> None:
        receiver = self.ends[1 - sender].link
        self.ends[sender].link.acknowledge(receiver.newest_received, receiver.missing, 0.0)

    @invariant()
    def what_was_received_was_sent_to_the_bit(self) -> None:
        for end, other in zip(self.ends, self.ends[::-1], strict=True) if hasattr(self, "ends") else ():
            latest = other.link.latest
            if latest is not None:
                np.testing.assert_array_equal(other.link.received, end.said[latest.sequence][0])


TestAnySchedule = AnySchedule.TestCase
