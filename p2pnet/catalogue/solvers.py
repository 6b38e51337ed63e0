"""Solvers of the local step's problem by their names."""

from dataclasses import dataclass
from typing import Final, Literal, final

from p2pnet.catalogue.registry import Entry, Registry


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SolverEntry(Entry):
    """A solver; its target is called without arguments and gives a `optim.solvers.base.Solver`."""

    penalties: Literal["any", "smooth", "nonsmooth"] = "any"
    """the kinds of penalties it supports; nonsmooth: those with active sets"""
    surrogates: tuple[str, ...] = ()
    """the surrogates it supports; empty for all"""


_ROOM: Final = "p2pnet.optim.solvers"

SOLVERS: Final = Registry(
    "solver",
    "p2pnet.solvers",
    SolverEntry,
    (
        SolverEntry(name="direct", target=f"{_ROOM}.direct:Direct", penalties="smooth"),
        SolverEntry(name="cg", target=f"{_ROOM}.conjugate_gradients:ConjugateGradients", penalties="smooth"),
        SolverEntry(name="cg-jacobi", target=f"{_ROOM}.conjugate_gradients:cg_jacobi", penalties="smooth"),
        SolverEntry(
            name="accelerated-proximal-gradient",
            target=f"{_ROOM}.accelerated_proximal_gradient:AcceleratedProximalGradient",
        ),
        SolverEntry(name="proximal-newton", target=f"{_ROOM}.proximal_newton:ProximalNewton", penalties="nonsmooth"),
    ),
)
