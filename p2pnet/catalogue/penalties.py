"""Penalties by their names."""

from dataclasses import dataclass
from typing import Final, Literal, final

from p2pnet.catalogue.registry import Parameter, TermEntry, TermRegistry


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PenaltyEntry(TermEntry):
    """A penalty; its target takes the numbers of its term, and by keyword what it acts on.

    parameters  `penalized`, (n_params,) of bool or None for all: which parameters are penalized
    neurons     `group_of`, (n_params,) of int: the neuron whose fan-in each parameter is part of, −1 for none
    """

    is_smooth: bool
    """whether the target gives a `SmoothPenalty`; else a `NonsmoothPenalty`, or a bare `Penalty`"""
    acts_on: Literal["parameters", "neurons"] = "parameters"


_ROOM: Final = "p2pnet.optim.penalties"
_STRENGTH: Final = Parameter("STRENGTH", least=0)

PENALTIES: Final = TermRegistry(
    "penalty",
    "p2pnet.penalties",
    PenaltyEntry,
    (
        PenaltyEntry(name="none", target=f"{_ROOM}.no_penalty:NoPenalty", is_smooth=True),
        PenaltyEntry(name="l2", target=f"{_ROOM}.squared_l2:SquaredL2", parameters=(_STRENGTH,), is_smooth=True),
        PenaltyEntry(name="l1", target=f"{_ROOM}.elastic_net:l1", parameters=(_STRENGTH,), is_smooth=False),
        PenaltyEntry(
            name="elastic-net",
            target=f"{_ROOM}.elastic_net:ElasticNet",
            parameters=(_STRENGTH, Parameter("L1_RATIO", least=0, most=1)),
            is_smooth=False,
        ),
        PenaltyEntry(
            name="group",
            target=f"{_ROOM}.group_l2:GroupL2",
            parameters=(_STRENGTH,),
            is_smooth=False,
            acts_on="neurons",
        ),
        PenaltyEntry(
            name="box",
            target=f"{_ROOM}.box:Box",
            parameters=(Parameter("LOWER"), Parameter("UPPER")),
            is_increasing=True,
            is_smooth=False,
        ),
        PenaltyEntry(name="non-negative", target=f"{_ROOM}.box:non_negativity", is_smooth=False),
    ),
)
