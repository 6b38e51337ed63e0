"""Step rules by their names: how the proximal weight and the step size of a local step are chosen."""

from dataclasses import dataclass
from typing import Final, final

from p2pnet.catalogue.registry import Parameter, TermEntry, TermRegistry


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StepRuleEntry(TermEntry):
    """A step rule; its target takes the numbers of its term and the keyword `proximal_weight`, the setting of that
    name, and gives a `optim.step_rules.StepRule`.
    """


_ROOM: Final = "p2pnet.optim.step_rules"

STEP_RULES: Final = TermRegistry(
    "step rule",
    "p2pnet.step_rules",
    StepRuleEntry,
    (
        StepRuleEntry(name="secant", target=f"{_ROOM}:secant"),
        StepRuleEntry(name="constant", target=f"{_ROOM}:constant", parameters=(Parameter("WEIGHT", above=0),)),
        StepRuleEntry(
            name="diminishing",
            target=f"{_ROOM}:diminishing",
            parameters=(Parameter("STEP_SIZE", above=0, most=1), Parameter("DECAY", least=0, below=1)),
        ),
    ),
)
