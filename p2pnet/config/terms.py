"""The short terms that settings and options are written in: `l2:1e-3`, `constant:1`."""

import math
from dataclasses import dataclass

_PENALTIES = {"none": 0, "l2": 1, "l1": 1, "elastic_net": 2, "group": 1}


@dataclass(frozen=True, slots=True)
class PenaltyTerm:
    """A penalty by name, with its strengths: one for l2, l1 and group; l1's, then l2's, for elastic_net."""

    name: str
    strengths: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class StepRuleTerm:
    """A rule for the proximal weight by name; `proximal_weight` is that of constant, else None."""

    name: str
    proximal_weight: float | None = None


def parse_penalty(text: str) -> PenaltyTerm:
    """The term that `text` stands for; ValueError says what would be right."""
    name, *values = text.split(":")
    if name not in _PENALTIES:
        raise ValueError("must be none, l2:STRENGTH, l1:STRENGTH, elastic_net:L1:L2 or group:STRENGTH")
    strengths = tuple(_number(value) for value in values)
    if len(strengths) != _PENALTIES[name] or any(math.isnan(strength) or strength < 0 for strength in strengths):
        form = ":".join([name] + ["1e-3"] * _PENALTIES[name])
        raise ValueError(f"must be written as in {form}, with no strength below 0")
    return PenaltyTerm(name, strengths)


def parse_step_rule(text: str) -> StepRuleTerm:
    """The term that `text` stands for; ValueError says what would be right."""
    if text == "secant":
        return StepRuleTerm("secant")
    name, _, value = text.partition(":")
    if name != "constant" or not _number(value) > 0:
        raise ValueError("must be secant, or constant with a weight above 0 as in constant:1.0")
    return StepRuleTerm("constant", _number(value))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
