"""The patience of the presets."""

import itertools
from dataclasses import fields
from typing import get_args

import pytest

from p2pnet.config import NetworkSettings
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.rounds.timing import PRESETS, Timing


def test_each_preset_is_at_least_as_patient_as_the_one_before() -> None:
    names = get_args(NetworkSettings.model_fields["preset"].annotation)
    assert set(names) == set(PRESETS)
    for one, other in itertools.pairwise(PRESETS[name] for name in names):
        for field in fields(Timing):
            assert getattr(one, field.name) <= getattr(other, field.name), field.name


def test_the_settings_say_the_patience_of_each_preset() -> None:
    sentence = str(NetworkSettings.model_fields["preset"].description)
    for name, timing in PRESETS.items():
        assert f"{timing.silence_s:g} s ({name})" in sentence
    graces = [f"{timing.redial_grace_s:g}" for timing in PRESETS.values()]
    assert f"{graces[0]}, {graces[1]} or {graces[2]} s" in sentence


@pytest.mark.parametrize(("n_bytes", "timeout_s"), [(0, 1.0), (3_000_000, 1.0), (80_000_000, 24.0)])
def test_large_shares_are_given_the_time_that_they_are_on_their_way(n_bytes: int, timeout_s: float) -> None:
    assert Timing(resend_s=1.0).first_resend_s(n_bytes) == timeout_s


def test_the_longest_wait_for_a_round_is_what_large_shares_may_take() -> None:
    assert Timing(round_timeout_s=10.0).for_shares_of(80_000_000).round_timeout_s == 24.0
    assert Timing(round_timeout_s=10.0).for_shares_of(30_000_000).round_timeout_s == 10.0
    assert Timing(round_timeout_s=0.0).for_shares_of(80_000_000).is_asynchronous


@pytest.mark.parametrize(("n_bytes", "timeout_s"), [(0, 0.2), (600_000, 0.2), (80_000_000, 24.0)])
def test_a_large_share_is_not_sent_again_while_a_slow_line_carries_it_however_fast_those_before_were(
    n_bytes: int, timeout_s: float
) -> None:
    timing = Timing(resend_s=1.0, resend_floor_s=0.2)
    assert timing.shortest_resend_s(n_bytes) == timeout_s
    timer = ResendTimer(timing.shortest_resend_s(n_bytes), timing.first_resend_s(n_bytes))
    for number in range(1, 50):
        timer.sent(number, float(number))
        timer.acknowledged(number, is_settled=True, now=number + 0.05)
    timer.sent(50, 100.0)
    assert timer.due_at == 100.0 + timeout_s
