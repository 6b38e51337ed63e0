"""What training is told: the problem, the local step, and what is made of the samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

from p2pnet.training.class_weights import ClassWeights
from p2pnet.training.early_stopping import Patience
from p2pnet.training.learner import Weighting


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemOptions:
    """The problem of a network, the same at all its agents: minimise the mean of a loss of a model, plus a penalty.

    A loss takes its arguments from these fields by their names (`LossEntry.settings`).
    """

    hidden: tuple[int, ...]
    """width of each hidden layer"""
    activation: str
    precision: Literal["float64", "float32"]
    seed: int
    """of the first parameters"""
    factory: str | None
    """`package.module:name` of what makes another model; all of the above but the seed then mean nothing"""
    arguments: Mapping[str, Any]
    """of the factory, by name"""
    device: str
    """what a factory's library computes on; agents need not agree on it"""
    loss: str
    """the name of a loss for the task of the samples"""
    huber_delta: float
    penalty: str
    """a term, as in `l2:1e-4`"""
    penalize_biases: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerOptions:
    """How one agent solves its local steps; agents need not agree on it.

    A surrogate takes its arguments from these fields by their names (`SurrogateEntry.settings`).
    """

    surrogate: str
    curvature_samples: int | None
    """most samples that curvature is taken from; None: all"""
    step_rule: str
    """a term, as in `constant:0.3`"""
    proximal_weight: float
    """in which a rule starts that adapts it"""
    solver: str
    solver_iterations: int
    solver_tolerance: float
    """the solver stops at this residual, relative to the first one"""
    blocks: int
    workers: int
    """threads that share a local step"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """What one agent makes of its samples."""

    problem: ProblemOptions
    optimizer: OptimizerOptions
    weighting: Weighting
    step_limit_s: float
    """longest time that the solver of a local step may take"""
    scaling: Literal["network", "local", "none"]
    """whose mean and deviation columns are standardised by"""
    has_given_classes: bool
    """whether all labels of the network are given, so that none are to be found out"""
    is_measured: bool
    """whether the network's metrics are found after training, of the rows that all agents hold out"""
    is_rescaled: bool
    """whether the network is to know how far its samples drift from the scales in force"""
    class_weights: ClassWeights | None
    """what samples count by their class; None: all alike"""
    patience: Patience | None
    """how long to wait for a better validation loss of the network; None: training does not stop early"""
    source: str
    """where the samples come from, for messages"""
    agreed: Mapping[str, str]
    """what else must be equal at all agents: fields of the fingerprint, as text"""
