"""What an agent holds against one neighbor, by how far its parameters are and what audits found them worth, and when
that is enough (`auditing.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

FAR: Final = 0.5
"""Of the own parameters' size: honest neighbors are nearer after the first audits, but for a ring of 24 that see other
classes, where training is restless and 2 are reached."""
OUT_OF_REACH: Final = 20.0
"""Times the own size, which is too far in the first audits, too."""
OUT_OF_REACH_RESTLESS: Final = 1e6
"""The same where samples have changed of late; 10⁴ where three in four of an agent's rows are 100 deviations away."""
JUMP: Final = 12.0
"""Times the largest distance of late; 9 on that ring."""
JUMP_ALIKE: Final = 5.0
WHOLE: Final = 0.95
"""Of the own parameters' size; honest neighbors that jumped so far went 9 times as far as of late."""
LEAP_FAR: Final = 16.0
LEAP: Final = 28.0
"""19 where a neighbor meets others after the network was in parts; 34 and more with lies."""
JUMPS: Final = 2
"""One after the other, where agents see other classes: a neighbor that meets others after it was cut off jumps once."""
GROSS: Final = 2.0
MAX_STRIKES: Final = 6.0
"""3 on that ring."""
FORGIVEN: Final = 0.5
MAX_BEYOND: Final = 4
"""Jumps one after the other, with parameters of any use, where samples are alike: as when they are twice as large."""
RATE: Final = 0.1
MAX_MEAN: Final = 0.95
MAX_MEAN_ALIKE: Final = 0.5
"""0.83 and 0.39 on that ring; 0.3 elsewhere."""
NEAR: Final = 0.15
"""Of the own size: honest neighbors that fit other samples are as near as 0.1, those that drift away are not."""


@final
@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an agent measures its neighbors by in a round."""

    size: float
    """‖z‖ of the own parameters, the largest of late"""
    reach: float
    """‖z_j − z‖ of neighbors, the largest of late"""
    is_alike: bool
    """Whether the samples of the agents around are known to be alike."""
    is_restless: bool
    """Whether samples have changed of late."""


@final
@dataclass(frozen=True, slots=True)
class Worth:
    """What an audit found a neighbor's parameters worth."""

    quotient: float
    """q_j, the excess to what is usual"""
    is_useless: bool


@final
@dataclass(slots=True)
class Charges:
    """What is held against a neighbor."""

    welcome_until: int
    """The round up to which it may be far off."""
    seen: int
    """The round of which its parameters were last there."""
    audited: int = -1
    loss: float = math.inf
    mean: float = 0.0
    """The moving mean of min (q_j, 1)."""
    distance: float = 0.0
    """‖z_j − z‖ when it was last there."""
    is_far: bool = False
    has_jumped: bool = False
    has_leapt: bool = False
    is_out_of_reach: bool = False
    strikes: float = 0.0
    """Rounds that far off, nearly in a row."""
    n_jumps: int = 0
    n_beyond: int = 0

    def see(self, distance: float, around: Circumstances) -> None:
        """Take in how far the neighbor's parameters are in a round."""
        self.distance = distance
        self.is_far = not distance <= FAR * around.size
        self.has_jumped = self.is_far and not distance <= (JUMP_ALIKE if around.is_alike else JUMP) * around.reach
        is_whole = not distance <= WHOLE * around.size
        self.has_leapt = self.has_jumped and not distance <= (LEAP_FAR if is_whole else LEAP) * around.reach
        reachable = OUT_OF_REACH_RESTLESS if around.is_restless else OUT_OF_REACH
        self.is_out_of_reach = not distance <= reachable * around.size

    def take_in(self, worth: Worth, around: Circumstances, *, is_steady: bool, is_welcome: bool) -> None:
        """Add what an audit has found: nothing that is far off counts against a neighbor that is welcome, nor where
        samples are unlike and the network is not steady.
        """
        self.mean += RATE * (max(-1.0, min(worth.quotient, 1.0)) - self.mean)
        is_held = not is_welcome and (is_steady or around.is_alike)
        is_steady_alike = is_steady and around.is_alike
        if self.is_far and (worth.is_useless or is_steady_alike) and is_held:
            self.strikes += 1.0
        else:
            self.strikes = max(0.0, self.strikes - FORGIVEN)
        is_gross = worth.is_useless or self.is_out_of_reach or (around.is_alike and worth.quotient > GROSS)
        self.n_jumps = self.n_jumps + 1 if self.has_jumped and is_gross and is_held else 0
        self.n_beyond = self.n_beyond + 1 if self.has_jumped and is_steady_alike and is_held else 0

    def are_enough(self, worth: Worth, around: Circumstances, *, is_steady: bool) -> bool:
        """Whether the neighbor is convicted: of a jump, of rounds far off, or of a mean that is too bad."""
        jumps = 1 if is_steady and (around.is_alike or self.has_leapt) else JUMPS
        has_jumped = self.n_jumps >= jumps or self.n_beyond >= MAX_BEYOND
        is_lost = self.is_out_of_reach and worth.is_useless
        is_bad = self.mean > (MAX_MEAN_ALIKE if around.is_alike else MAX_MEAN)
        is_away = self.distance > (NEAR if around.is_alike else FAR) * around.size
        return has_jumped or is_lost or self.strikes > MAX_STRIKES or (is_bad and is_away)
