"""Which rounds have a local step, and how much momentum flows have."""

import numpy as np
import pytest

from p2pnet.optim.network_curvature import FIRST_STEP_ROUND
from p2pnet.protocol.rounds.schedule import (
    EAGER_ROUNDS,
    EARLY_ROUNDS,
    N_LISTENING_ROUNDS,
    is_step_round,
    momentum_in,
)
from p2pnet.protocol.rounds.state import RoundState


def test_by_default_steps_become_rarer_and_flows_keep_more() -> None:
    steps = [round_ for round_ in range(EARLY_ROUNDS + 12) if is_step_round(round_, None)]
    assert steps == [*range(EAGER_ROUNDS), *range(EAGER_ROUNDS, EARLY_ROUNDS, 2), *range(EARLY_ROUNDS, 72, 4)]
    assert momentum_in(EARLY_ROUNDS - 1, None) < momentum_in(EARLY_ROUNDS, None)


@pytest.mark.parametrize("exchanges", [1, 3, 7])
def test_a_number_of_exchanges_holds_from_the_end_of_the_first_rounds_for_good(exchanges: int) -> None:
    for round_ in range(10 * EARLY_ROUNDS):
        assert is_step_round(round_, exchanges) == (round_ < EAGER_ROUNDS or round_ % exchanges == 0)


def test_a_given_momentum_holds_in_every_round() -> None:
    assert {momentum_in(round_, 0.1) for round_ in range(2 * EARLY_ROUNDS)} == {0.1}


def test_steps_along_the_networks_curvature_begin_with_the_last_part() -> None:
    assert FIRST_STEP_ROUND == EARLY_ROUNDS


def test_an_epoch_has_no_eager_rounds_once_its_change_has_spread() -> None:
    first = RoundState(np.zeros(2))
    assert [is_step_round(first.schedule_round + later, None) for later in range(EAGER_ROUNDS)] == [True] * EAGER_ROUNDS
    later = RoundState(np.zeros(2), round=200 + N_LISTENING_ROUNDS, epoch=1, first_round=200)
    rounds = range(later.schedule_round, later.schedule_round + EARLY_ROUNDS - EAGER_ROUNDS + 12)
    steps = [round_ - later.schedule_round for round_ in rounds if is_step_round(round_, None)]
    assert steps == [*range(0, EARLY_ROUNDS - EAGER_ROUNDS, 2), *range(EARLY_ROUNDS - EAGER_ROUNDS, 62, 4)]
