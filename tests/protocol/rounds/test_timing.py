"""The patience of the presets."""

import itertools
from dataclasses import fields
from typing import get_args

import pytest

from p2pnet.config import NetworkSettings
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


@pytest.mark.parametrize(("n_bytes", "timeout_s"), [(0, 1.0), (10_000_000, 1.0), (80_000_000, 8.0)])
def test_large_shares_are_given_the_time_that_they_are_on_their_way(n_bytes: int, timeout_s: float) -> None:
    assert Timing(resend_s=1.0).first_resend_s(n_bytes) == timeout_s
