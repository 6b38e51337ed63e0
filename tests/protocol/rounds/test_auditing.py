"""What an agent holds against a neighbor by its own samples, and what it does not."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from p2pnet.protocol.core.effects import Audit
from p2pnet.protocol.core.events import Audited
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId, Nonce, PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.rounds.astray import MAX_DISTRESS
from p2pnet.protocol.rounds.auditing import ABSENT, FIRST_AUDITS, WELCOME_ROUNDS, Auditing
from p2pnet.protocol.rounds.charges import (
    JUMP,
    JUMP_ALIKE,
    LEAP,
    MAX_BEYOND,
    MAX_STRIKES,
    NEAR,
    OUT_OF_REACH,
    OUT_OF_REACH_RESTLESS,
)
from p2pnet.protocol.rounds.movement import SUDDEN, SUDDEN_ROUNDS
from p2pnet.protocol.rounds.steadiness import RESTLESS_ROUNDS

SIZE = 10.0
FIRST_LOSS = 2.0
OWN_LOSS = 0.1
NEIGHBORS = ("ann", "bob", "eve")


class Judge:
    """An agent with parameters of one size. The tests name distance and loss of each neighbor, by default those of one
    that is honest.
    """

    def __init__(self, *, alike: bool = True, n_rounds: int = FIRST_AUDITS) -> None:
        self.auditing = Auditing()
        self.auditing.is_typical = True
        self.round = 0
        self.own = np.array([SIZE, 0.0])
        self.tracker = Tracker(1)
        self.tracks(100.0)
        self.asked: list[list[PeerId]] = []
        for _ in range(n_rounds):
            assert not self.hears({} if alike else dict.fromkeys(NEIGHBORS, (1.0, FIRST_LOSS)))
        for _ in range(2 * len(NEIGHBORS) if n_rounds else 0):
            self.hears({})

    def hears(self, told: Mapping[PeerId, tuple[float, float]], silent: tuple[PeerId, ...] = ()) -> set[PeerId]:
        """Whom it convicts in a round in which neighbors are at these distances and have these losses."""
        at = {peer: told.get(peer, (1.0, OWN_LOSS)) for peer in NEIGHBORS if peer not in silent}
        params = {peer: self.own + np.array([0.0, distance]) for peer, (distance, _) in at.items()}
        self.asked.append([])
        self.auditing.see_network(self.tracker, ())
        convicted = self.answer(self.auditing.before_mixing(self.round, self.own, params), at)
        left = {peer: z for peer, z in params.items() if peer not in convicted}
        convicted |= self.answer(self.auditing.after_mixing(self.round, self.own, left), at)
        self.round += 1
        return convicted

    def tracks(self, n_samples: float, n_others: float = 100.0) -> None:
        """It has so many samples, and agents have so many in the mean."""
        self.tracker = Tracker(1)
        self.tracker.replace_own(np.zeros(1), n_others)
        self.tracker.update(())
        self.tracker.replace_own(np.zeros(1), n_samples)

    def answer(self, audit: Audit | None, told: Mapping[PeerId, tuple[float, float]]) -> set[PeerId]:
        if audit is None:
            return set()
        self.asked[-1] += audit.others
        losses = {peer: told[peer][1] for peer in audit.others}
        return self.convicted(Audited(audit.round, FIRST_LOSS, OWN_LOSS, losses))

    def convicted(self, audited: Audited) -> set[PeerId]:
        convicted = self.auditing.judge(audited)
        for peer in convicted:
            self.auditing.convict(peer)
        return convicted

    def rounds_until_it_convicts(self, distance: float, loss: float, limit: int = 200) -> int:
        return next((n for n in range(1, limit) if "eve" in self.hears({"eve": (distance, loss)})), limit)


def test_at_first_all_are_audited_and_then_one_in_every_second_round_in_turn() -> None:
    judge = Judge()
    assert all(sorted(asked) == sorted(NEIGHBORS) for asked in judge.asked[:FIRST_AUDITS])
    assert sorted(peer for asked in judge.asked[FIRST_AUDITS:] for peer in asked) == sorted(NEIGHBORS)


def test_one_that_is_suspicious_is_audited_in_each_round() -> None:
    judge = Judge(alike=False)
    for _ in range(16):
        judge.hears({"eve": (1.0, 10.0)})
    assert all("eve" in asked for asked in judge.asked[-5:])
    assert not all("ann" in asked for asked in judge.asked[-5:])


@pytest.mark.parametrize("loss", [math.nan, math.inf, FIRST_LOSS])
def test_one_that_jumps_to_parameters_of_no_use_is_convicted_before_it_is_mixed(loss: float) -> None:
    judge = Judge()
    assert judge.hears({"eve": (JUMP_ALIKE + 2.0, loss)}) == {"eve"}
    assert judge.asked[-1][0] == "eve"


def test_where_agents_see_other_classes_it_takes_two_longer_jumps_in_a_row_or_a_leap_to_parameters_of_no_use() -> None:
    assert Judge(alike=False).rounds_until_it_convicts(JUMP_ALIKE + 2.0, 3.0 * OWN_LOSS) == 200
    assert Judge(alike=False).rounds_until_it_convicts(LEAP + 1.0, 3.0 * OWN_LOSS) == 200
    assert Judge(alike=False).rounds_until_it_convicts(JUMP + 1.0, FIRST_LOSS) == 2
    assert Judge(alike=False).rounds_until_it_convicts(LEAP + 1.0, FIRST_LOSS) == 1


def test_one_that_jumps_to_parameters_that_are_as_good_is_convicted_if_it_stays_there_and_samples_are_alike() -> None:
    assert Judge().rounds_until_it_convicts(JUMP_ALIKE + 2.0, OWN_LOSS) == MAX_BEYOND
    assert Judge(alike=False).rounds_until_it_convicts(JUMP_ALIKE + 2.0, OWN_LOSS) == 200


def test_one_that_is_beyond_all_reach_is_convicted_however_well_its_parameters_fit() -> None:
    judge = Judge(alike=False)
    assert judge.hears({"eve": (OUT_OF_REACH * SIZE - SIZE, 0.0)}) == set()
    assert judge.hears({"eve": (OUT_OF_REACH * SIZE + SIZE, 0.0)}) == {"eve"}


def test_one_that_goes_off_by_and_by_is_convicted_after_some_rounds() -> None:
    judge = Judge(alike=False)
    judge.hears({"eve": (5.0, OWN_LOSS)})
    assert judge.rounds_until_it_convicts(6.0, FIRST_LOSS) == MAX_STRIKES + 1


def test_one_that_is_bad_and_not_near_is_convicted_after_a_while_where_samples_are_alike() -> None:
    assert 5 < Judge().rounds_until_it_convicts(1.1 * NEAR * SIZE, 10.0) < 20
    assert Judge().rounds_until_it_convicts(0.9 * NEAR * SIZE, 10.0) == 200
    assert Judge(alike=False).rounds_until_it_convicts(1.1 * NEAR * SIZE, 10.0) == 200


def test_one_that_has_led_the_agent_astray_is_convicted_and_the_agent_goes_back_to_the_best_that_it_had() -> None:
    judge = Judge(n_rounds=1)
    best, spoiled = judge.own, np.array([0.0, SIZE])
    judge.own = spoiled
    losses = {"ann": OWN_LOSS, "bob": OWN_LOSS, "eve": FIRST_LOSS}
    params = dict.fromkeys(NEIGHBORS, spoiled + 2.0)
    for _ in range(int(MAX_DISTRESS) + 1):
        assert judge.auditing.restored(spoiled) is spoiled
        judge.auditing.before_mixing(judge.round, spoiled, params)
        judge.auditing.after_mixing(judge.round, spoiled, params)
        convicted = judge.convicted(Audited(judge.round, FIRST_LOSS, 0.5 * FIRST_LOSS, losses))
        judge.round += 1
    assert convicted == {"eve"}
    np.testing.assert_array_equal(judge.auditing.restored(spoiled), best)
    assert judge.auditing.restored(spoiled) is spoiled  # once for each conviction


def test_one_that_was_away_may_be_far_off_for_a_while_unless_it_was_convicted() -> None:
    judge = Judge()
    for _ in range(ABSENT + 1):
        judge.hears({}, silent=("eve",))
    assert judge.hears({"eve": (9.0, FIRST_LOSS)}) == set()
    for _ in range(WELCOME_ROUNDS):
        judge.hears({})
    assert judge.hears({"eve": (9.0, FIRST_LOSS)}) == {"eve"}
    for _ in range(ABSENT + 1):
        judge.hears({}, silent=("eve",))
    assert judge.hears({"eve": (9.0, FIRST_LOSS)}) == {"eve"}


def test_one_liar_cannot_make_a_judge_lenient_once_that_knows_what_is_usual() -> None:
    judge = Judge()
    for _ in range(4):
        judge.hears({"eve": (1.0, FIRST_LOSS)})
    assert judge.auditing.is_alike


def test_an_agent_that_sees_other_targets_than_most_takes_no_samples_for_alike() -> None:
    judge = Judge()
    assert judge.auditing.is_alike
    judge.auditing.is_typical = False
    assert not judge.auditing.is_alike


def test_with_a_single_neighbor_nothing_is_asked() -> None:
    auditing = Auditing()
    own, params = np.ones(2), {"eve": np.full(2, 1e6)}
    for round_ in range(30):
        assert auditing.before_mixing(round_, own, params) is None
        assert auditing.after_mixing(round_, own, params) is None


def test_an_answer_to_what_was_not_asked_last_is_no_evidence() -> None:
    judge = Judge()
    assert judge.auditing.judge(Audited(3, FIRST_LOSS, OWN_LOSS, {"eve": math.inf})) == set()


def test_an_agent_that_cannot_judge_itself_convicts_nobody() -> None:
    judge = Judge()
    far: Array = judge.own + np.array([0.0, 9.0])
    asked = judge.auditing.before_mixing(judge.round, judge.own, {"ann": judge.own, "eve": far})
    assert asked is not None
    assert list(asked.others) == ["eve"]
    assert judge.auditing.judge(Audited(judge.round, math.nan, math.nan, {})) == set()


def test_what_was_held_against_whom_is_forgotten_in_another_epoch() -> None:
    judge = Judge()
    judge.auditing.begin_anew()
    assert judge.hears({"eve": (9.0, FIRST_LOSS)}) == set()


@pytest.mark.parametrize("n_samples", [10.0, 1000.0])
def test_an_agent_with_far_more_or_fewer_samples_than_others_takes_none_for_alike(
    n_samples: float,
) -> None:
    judge = Judge()
    assert judge.auditing.is_alike
    judge.tracks(n_samples)
    judge.hears({})
    assert not judge.auditing.is_alike


def test_until_all_is_steady_it_takes_two_jumps_and_more_where_agents_see_other_classes() -> None:
    judge, other = Judge(), Judge(alike=False)
    judge.tracker.weight = other.tracker.weight = 0.5
    assert judge.rounds_until_it_convicts(LEAP + 1.0, FIRST_LOSS) == 2
    assert other.rounds_until_it_convicts(LEAP + 1.0, FIRST_LOSS) > 2


def test_in_another_epoch_neighbors_may_go_anywhere_for_a_while_but_not_beyond_all_reach() -> None:
    judge = Judge()
    judge.auditing.begin_anew()
    for _ in range(RESTLESS_ROUNDS - 1):
        assert judge.hears({"eve": (2.0 * OUT_OF_REACH * SIZE, FIRST_LOSS)}) == set()
    for _ in range(ABSENT):
        judge.hears({})
    assert judge.hears({"eve": (2.0 * OUT_OF_REACH * SIZE, 10.0 * FIRST_LOSS)}) == {"eve"}
    judge.auditing.begin_anew()
    assert judge.hears({"ann": (2.0 * OUT_OF_REACH_RESTLESS * SIZE, 10.0 * FIRST_LOSS)}) == {"ann"}


@pytest.mark.parametrize("sums", [np.array([0.0, 3.0, 0.0]), np.array([0.0, 0.0, 0.005])])
def test_a_jump_in_the_round_in_which_samples_or_weight_that_come_are_others_is_no_evidence(sums: Array) -> None:
    judge = Judge(alike=False)
    link = Link(LinkId(Nonce(1, 1), Nonce(1, 1)), 3, 2, 64, ResendTimer(0.2, 1.0))
    for _ in range(13):
        judge.auditing.see_network(judge.tracker, (link,))
    link.ledger.received = sums
    judge.auditing.see_network(judge.tracker, (link,))
    far = {"ann": judge.own, "bob": judge.own, "eve": judge.own + np.array([0.0, LEAP + 1.0])}
    told = {"eve": (LEAP + 1.0, FIRST_LOSS), "ann": (0.0, OWN_LOSS), "bob": (0.0, OWN_LOSS)}
    assert judge.answer(judge.auditing.before_mixing(judge.round, judge.own, far), told) == set()


def test_samples_may_have_changed_where_gradients_turn_at_once_and_for_some_rounds_after() -> None:
    judge = Judge()
    auditing, tracker = judge.auditing, judge.tracker
    assert not auditing.may_have_changed
    link = Link(LinkId(Nonce(1, 1), Nonce(1, 1)), 3, 2, 64, ResendTimer(0.2, 1.0))

    def turns(size: float) -> bool:
        link.ledger.received = np.array([size, 0.0, 0.0])
        auditing.see_network(tracker, (link,))
        return auditing.may_have_changed

    assert turns(1.0)
    for _ in range(SUDDEN_ROUNDS):
        last = turns(1.0)
    assert not last
    assert not turns(0.5 * SUDDEN)
    assert turns(SUDDEN * 0.5 * SUDDEN * 1.01)
