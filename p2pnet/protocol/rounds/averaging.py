"""Rounds that average exactly, and minimise nothing: those before training, and those after it."""

from __future__ import annotations

from dataclasses import replace

from p2pnet.protocol.rounds.options import RoundOptions

MOMENTUM = 0.5
"""The momentum of flows, larger than in training, where local steps limit it; tuned on a ring of 13 agents."""

MAX_RATIO = 1e36
"""Of the sums of two agents: squares of values that differ by 1e12, of 1e7 samples, with masks 1e5 times as large."""

ROUND_TIMEOUT_S = 10.0
"""The round timeout where training is asynchronous: averaging converges in synchronous rounds only."""

ROUND_PACE_S = 0.004
"""The shortest time between rounds, so that averaging while waiting for more agents leaves the processors idle."""

ABSENCE_LIMIT_S = 5.0
"""How long averaging waits for an absent agent; an agent that returns later takes the result from the others."""


def without_local_steps(options: RoundOptions, max_rounds: int, tolerance: float) -> RoundOptions:
    """Options of rounds that average exactly, and minimise nothing."""
    timing = options.timing
    return replace(
        options,
        max_rounds=max_rounds,
        keeps_running=False,
        exchanges=1,
        is_gradient_first=False,
        n_signs=0,
        momentum=MOMENTUM,
        tolerance=tolerance,
        precision=64,
        is_coded=False,
        max_ratio=MAX_RATIO,
        is_bounded=False,
        is_clipped=False,
        is_audited=False,
        timing=replace(
            timing,
            round_pace_s=ROUND_PACE_S,
            round_timeout_s=timing.round_timeout_s or ROUND_TIMEOUT_S,
            suspect_limit_s=min(timing.suspect_limit_s, ABSENCE_LIMIT_S),
            away_limit_s=min(timing.away_limit_s, ABSENCE_LIMIT_S),
        ),
    )
