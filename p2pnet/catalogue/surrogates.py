"""Surrogates of the local objective by their names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, final

from p2pnet.catalogue.registry import Entry, Registry


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateEntry(Entry):
    """A surrogate; its target is a subclass of `optim.surrogates.base.Surrogate`."""

    has_curvature: bool
    """whether its local models have second derivatives"""
    settings: Mapping[str, str] = field(default_factory=dict)
    """what the target takes: name of the argument -> name of the setting in [algorithm],
    one of a local step's (`training.options.OptimizerOptions`)"""


_ROOM: Final = "p2pnet.optim.surrogates"

SURROGATES: Final = Registry(
    "surrogate",
    "p2pnet.surrogates",
    SurrogateEntry,
    (
        SurrogateEntry(
            name="partial",
            target=f"{_ROOM}.partial:PartialLinearization",
            has_curvature=True,
            settings={"max_curvature_samples": "curvature_samples"},
        ),
        SurrogateEntry(name="full", target=f"{_ROOM}.full:FullLinearization", has_curvature=False),
    ),
)
