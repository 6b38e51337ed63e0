"""The short terms that settings and options are written in: `l2:1e-3`, `constant:1`."""

import math
from dataclasses import dataclass

_PENALTY_FORMS = {
    "none": "none",
    "l2": "l2:STRENGTH",
    "l1": "l1:STRENGTH",
    "elastic-net": "elastic-net:STRENGTH:L1_RATIO",
    "group": "group:STRENGTH",
    "box": "box:LOWER:UPPER",
    "non-negative": "non-negative",
}
PENALTY_FORMS = ", ".join(_PENALTY_FORMS.values())


@dataclass(frozen=True, slots=True)
class PenaltyTerm:
    """A penalty by name. Numbers that its form does not have stand at their defaults."""

    name: str
    strength: float = 0.0
    l1_ratio: float = 0.5
    lower: float = -1.0
    upper: float = 1.0


@dataclass(frozen=True, slots=True)
class StepRuleTerm:
    """A rule for the local steps by name. Numbers that its form does not have stand at their defaults."""

    name: str
    proximal_weight: float | None = None
    """of constant"""
    step_size: float | None = None
    """of the first step of diminishing"""
    decay: float = 0.0


def parse_penalty(text: str) -> PenaltyTerm:
    """The term that `text` stands for; ValueError says what would be right."""
    name, *values = text.split(":")
    if name not in _PENALTY_FORMS:
        raise ValueError(f"must be one of {PENALTY_FORMS}")
    form = _PENALTY_FORMS[name]
    keys = form.lower().split(":")[1:]
    numbers = dict(zip(keys, map(_number, values), strict=False))
    term = PenaltyTerm(name, **numbers)
    if len(values) != len(keys) or not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"must be written as {form}, with numbers")
    if not (term.strength >= 0 and 0 <= term.l1_ratio <= 1 and term.lower < term.upper):
        raise ValueError("must have a strength of at least 0, an l1 ratio from 0 to 1, a lower bound below the upper")
    return term


def parse_step_rule(text: str) -> StepRuleTerm:
    """The term that `text` stands for; ValueError says what would be right."""
    name, *values = text.split(":")
    numbers = [_number(value) for value in values]
    match name, numbers:
        case "secant", []:
            return StepRuleTerm("secant")
        case "constant", [weight] if weight > 0:
            return StepRuleTerm("constant", proximal_weight=weight)
        case "diminishing", [step_size, decay] if 0 < step_size <= 1 and 0 <= decay < 1:
            return StepRuleTerm("diminishing", step_size=step_size, decay=decay)
    raise ValueError(
        "must be secant, constant:WEIGHT with a weight above 0, or diminishing:STEP_SIZE:DECAY with a step size above "
        "0, at most 1, and a decay from 0, below 1"
    )


def _number(text: str) -> float:
    """The number that `text` is; NaN when it is none, or not finite."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
