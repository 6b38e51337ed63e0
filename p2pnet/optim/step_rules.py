"""Step rules: how the proximal weight and the step size of a local step go together."""

from dataclasses import dataclass
from typing import final

from p2pnet.catalogue.registry import Term
from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.optim.proximal_weight import ConstantWeight, ProximalWeightRule, SecantWeight
from p2pnet.optim.step_sizes import DiminishingStep, FullStep, MomentumStep, StepSizeRule


@final
@dataclass(frozen=True, slots=True)
class StepRule:
    """The rules of one agent's local steps, each with a state of its own."""

    proximal_weight: ProximalWeightRule
    step_size: StepSizeRule


def secant(*, proximal_weight: float) -> StepRule:
    """τ from the unmodelled curvature, from `proximal_weight` on; steps with momentum."""
    return StepRule(SecantWeight(proximal_weight), MomentumStep())


def constant(weight: float, *, proximal_weight: float) -> StepRule:  # noqa: ARG001
    """τ = weight; full steps."""
    return StepRule(ConstantWeight(weight), FullStep())


def diminishing(step_size: float, decay: float, *, proximal_weight: float) -> StepRule:
    """τ = proximal_weight; step sizes α⁺ = α (1 − decay α), from `step_size`."""
    return StepRule(ConstantWeight(proximal_weight), DiminishingStep(step_size, decay))


def make_step_rule(term: Term, proximal_weight: float) -> StepRule:
    """The rule of a term, in its first state; `proximal_weight` is the setting of that name."""
    rule: StepRule = STEP_RULES[term.name].load()(*term.numbers, proximal_weight=proximal_weight)
    return rule
