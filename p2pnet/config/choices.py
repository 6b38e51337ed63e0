"""Settings whose values are names in the catalogue, built in or of another package."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, final

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.catalogue.losses import LOSSES
from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.registry import Registry, TermRegistry
from p2pnet.catalogue.solvers import SOLVERS
from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.catalogue.surrogates import SURROGATES
from p2pnet.errors import ConfigError


@final
@dataclass(frozen=True, slots=True)
class Choice:
    """The annotation of a setting whose values are the names in a registry; `also` are allowed besides."""

    registry: Registry[Any]
    also: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """The choices in an example file: the built-in names."""
        return (*self.also, *self.registry.built_in_names)

    def check(self, name: str) -> str:
        """Return the name unchanged; ValueError where it is unknown, or its entry cannot be loaded."""
        if name in self.also:
            return name
        if name not in self.registry:
            raise ValueError(self.registry.requirement(name, self.also))
        try:
            self.registry[name]
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return name

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))


def _term_of(registry: TermRegistry[Any]) -> AfterValidator:
    def check(text: str) -> str:
        registry.parse(text)
        return text

    return AfterValidator(check)


AUTO: Final = ("auto",)

LossName: TypeAlias = str
LossChoice = Annotated[str, Choice(LOSSES, AUTO)]
SolverChoice = Annotated[str, Choice(SOLVERS, AUTO)]
ActivationName = Annotated[str, Choice(ACTIVATIONS)]
SurrogateName = Annotated[str, Choice(SURROGATES)]
PenaltyText = Annotated[str, _term_of(PENALTIES)]
StepRuleText = Annotated[str, _term_of(STEP_RULES)]
