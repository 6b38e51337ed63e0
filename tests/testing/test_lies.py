"""Lies are pure functions: what they change, what they leave, and that everything they say can be sent and read."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.errors import ConfigError
from p2pnet.protocol.core.types import Array, FeatureStatistics, LinkId, Nonce, WireArray
from p2pnet.protocol.messages import wire
from p2pnet.protocol.messages.membership import Gossip, MemberState, Record
from p2pnet.protocol.messages.training import Ack, Hello, LabelSet, Left, Share, StateReply
from p2pnet.testing.lies import LIES, AnyMessage, Liar, parse_lie, tell

LIAR = Liar("liar", seed=3)
LINK = LinkId(Nonce(1, 2), Nonce(3, 4))
N_PARAMS = 4


def in_precision(values: Array, precision: int) -> WireArray:
    return values if precision == 64 else values.astype(np.float32)


def share(precision: int = 64, round_: int = 7) -> Share:
    return Share(
        link_id=LINK,
        sequence=5,
        acknowledged=4,
        base=0,
        precision=precision,
        round=round_,
        next_degree=2,
        proximal_weight=0.5,
        first_residual=1.0,
        quiet=0,
        stop_round=-1,
        is_held=False,
        total=in_precision(np.arange(N_PARAMS + 2.0), precision),
        params=in_precision(np.linspace(-1.0, 1.0, N_PARAMS), precision),
    )


MESSAGES: list[AnyMessage] = [
    share(),
    share(precision=32),
    Ack(LINK, 5),
    Left(LINK),
    StateReply(LINK, 7, -1, np.ones(N_PARAMS)),
    LabelSet(0, "survey", ("ant", "bee"), False),
    Gossip((Record("liar", MemberState.ALIVE, 10), Record("other", MemberState.ALIVE, 20))),
    LabelSet(1, "survey", ("ant", "bee"), False, 1, np.ones(2), np.ones(2)),
    Hello(Nonce(1, 2), None, {"model": "linear"}, "liar", "", -1, False),
]


def told(text: str, message: AnyMessage) -> list[AnyMessage]:
    return tell([parse_lie(text, LIAR)], message)


def only(text: str, message: AnyMessage) -> AnyMessage:
    (lie,) = told(text, message)
    return lie


def as_sent(message: AnyMessage) -> list[bytes]:
    return [bytes(frame) for frame in wire.encode(message)]


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_told_is_well_formed_and_the_same_each_time_and_the_truth_is_left_as_it_was(
    name: str, message: AnyMessage
) -> None:
    truth = as_sent(message)
    first, again = told(name, message), told(name, message)
    assert [as_sent(lie) for lie in first] == [as_sent(lie) for lie in again]
    assert as_sent(message) == truth
    for lie in first:
        frames = as_sent(lie)
        read = wire.decode(frames)
        assert as_sent(read) == frames


@pytest.mark.parametrize("name", LIES)
def test_each_lie_changes_something_and_lets_a_message_without_its_subject_pass(name: str) -> None:
    assert any([as_sent(lie) for lie in told(name, message)] != [as_sent(message)] for message in MESSAGES)
    (passed,) = told(name, MESSAGES[3])
    assert passed is MESSAGES[3]


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("params-scaled:3", lambda params: 3 * params),
        ("params-flipped", lambda params: -params),
        ("params-constant:2.5", lambda params: np.full_like(params, 2.5)),
    ],
)
@pytest.mark.parametrize("precision", [32, 64])
def test_parameters_are_changed_in_shares_and_in_answers_about_the_state(
    text: str, change: Callable[[np.ndarray], np.ndarray], precision: int
) -> None:
    lie = only(text, share(precision))
    assert isinstance(lie, Share)
    np.testing.assert_array_equal(lie.params, change(np.asarray(share(precision).params)))
    assert lie.params.dtype == share(precision).params.dtype
    assert as_sent(replace(lie, params=share(precision).params)) == as_sent(share(precision))
    answer = only(text, MESSAGES[4])
    assert isinstance(answer, StateReply)
    np.testing.assert_array_equal(answer.params, change(np.ones(N_PARAMS)))


def test_random_parameters_are_of_the_seed_and_the_round_and_have_the_deviation() -> None:
    def drawn(seed: int, round_: int) -> np.ndarray:
        (lie,) = parse_lie("params-random:5", Liar("liar", seed))(
            replace(share(round_=round_), params=np.zeros(10_000))
        )
        assert isinstance(lie, Share)
        return np.asarray(lie.params)

    np.testing.assert_array_equal(drawn(0, 1), drawn(0, 1))
    assert (drawn(0, 1) != drawn(0, 2)).all()
    assert (drawn(0, 1) != drawn(1, 1)).all()
    assert np.std(drawn(0, 1)) == pytest.approx(5, rel=0.05)


@pytest.mark.parametrize(("text", "place"), [("samples-shifted:100", -2), ("weight-shifted:100", -1)])
def test_one_sum_of_the_total_is_shifted(text: str, place: int) -> None:
    lie = only(text, share())
    assert isinstance(lie, Share)
    change = np.zeros(N_PARAMS + 2)
    change[place] = 100
    np.testing.assert_array_equal(lie.total - share().total, change)


@given(st.floats(-1e6, 1e6))
def test_the_total_is_scaled(factor: float) -> None:
    lie = only(f"total-scaled:{factor!r}", share())
    assert isinstance(lie, Share)
    np.testing.assert_array_equal(lie.total, factor * np.arange(N_PARAMS + 2.0))


def test_the_course_of_the_rounds() -> None:
    for message in (MESSAGES[0], MESSAGES[2], MESSAGES[4]):
        lie = only("stop-early:3", message)
        assert isinstance(lie, Share | Ack | StateReply)
        assert lie.stop_round == 3
    heavy = only("proximal-weight:1e9", share())
    assert isinstance(heavy, Share)
    assert heavy.proximal_weight == 1e9
    assert [as_sent(lie) for lie in told("share-repeated:3", share())] == [as_sent(share())] * 3
    assert told("share-repeated:0", share()) == []


def test_labels_are_added_once_and_in_order() -> None:
    lie = only("labels-added:2", only("labels-added:2", MESSAGES[5]))
    assert isinstance(lie, LabelSet)
    assert lie.labels == ("ant", "bee", "label of no sample 1", "label of no sample 2")


def test_statistics_of_nothing_follow_the_labels() -> None:
    truth, lie = told("statistics-unasked:3", MESSAGES[5])
    assert truth == MESSAGES[5]
    assert isinstance(lie, FeatureStatistics)
    assert (lie.survey, lie.mean.shape, lie.variance.shape) == ("survey", (3,), (3,))


def test_incarnations_of_others_are_raised_and_its_own_is_not() -> None:
    lie = only("incarnations-raised:5", MESSAGES[6])
    assert isinstance(lie, Gossip)
    assert [record.incarnation for record in lie.records] == [10, 25]


def test_lies_are_told_one_on_top_of_the_other() -> None:
    lies = [parse_lie(text, LIAR) for text in ("params-scaled:2", "share-repeated:2", "params-flipped")]
    both = tell(lies, share())
    assert len(both) == 2
    for lie in both:
        assert isinstance(lie, Share)
        np.testing.assert_array_equal(lie.params, -2 * np.linspace(-1.0, 1.0, N_PARAMS))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("params-scale", "choose one of params-scaled, "),
        ("params-scaled:x", "'x' is no number"),
        ("stop-early:inf", "finite"),
    ],
)
def test_what_is_no_lie_is_an_error_that_says_what_is(text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        parse_lie(text, LIAR)
