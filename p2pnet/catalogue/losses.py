"""Losses by their names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, final

from p2pnet.catalogue.registry import Entry, Registry
from p2pnet.errors import ConfigError

Task = Literal["regression", "classification"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LossEntry(Entry):
    """A loss; its target is a subclass of `optim.losses.base.Loss`."""

    tasks: tuple[Task, ...]
    n_derivatives: int = 2
    """number of continuous derivatives with respect to the predictions: 1 where the gradient has kinks"""
    is_target_scaled: bool = True
    """whether the target of regression may be standardised"""
    has_one_output: bool = False
    """whether the network has one output whatever the data, instead of one for each class"""
    settings: Mapping[str, str] = field(default_factory=dict)
    """what the target takes: name of the argument -> name of the setting in [objective]"""


_REGRESSION: Final[tuple[Task, ...]] = ("regression",)
_CLASSIFICATION: Final[tuple[Task, ...]] = ("classification",)
_ROOM: Final = "p2pnet.optim.losses"

LOSSES: Final = Registry(
    "loss",
    "p2pnet.losses",
    LossEntry,
    (  # the first for a task is what `auto` takes
        LossEntry(name="half-squared", target=f"{_ROOM}.half_squared:HalfSquared", tasks=_REGRESSION),
        LossEntry(
            name="huber",
            target=f"{_ROOM}.huber:Huber",
            tasks=_REGRESSION,
            n_derivatives=1,
            settings={"delta": "huber_delta"},
        ),
        LossEntry(name="log-cosh", target=f"{_ROOM}.log_cosh:LogCosh", tasks=_REGRESSION),
        LossEntry(
            name="poisson-deviance",
            target=f"{_ROOM}.poisson_deviance:PoissonDeviance",
            tasks=_REGRESSION,
            is_target_scaled=False,
        ),
        LossEntry(
            name="softmax-cross-entropy",
            target=f"{_ROOM}.softmax_cross_entropy:SoftmaxCrossEntropy",
            tasks=_CLASSIFICATION,
        ),
        LossEntry(name="logistic", target=f"{_ROOM}.margin:Logistic", tasks=_CLASSIFICATION, has_one_output=True),
        LossEntry(
            name="squared-hinge",
            target=f"{_ROOM}.margin:SquaredHinge",
            tasks=_CLASSIFICATION,
            n_derivatives=1,
            has_one_output=True,
        ),
    ),
)


def losses_for(task: Task) -> tuple[str, ...]:
    """The built-in losses for a task; the first is the default."""
    return tuple(entry.name for entry in LOSSES if task in entry.tasks)


def loss_for(task: Task, choice: str = "auto") -> str:
    """The loss that a choice of a name, or of `auto`, comes to; ConfigError where it does not fit the task."""
    fitting = losses_for(task)
    if choice == "auto":
        return fitting[0]
    if task not in LOSSES[choice].tasks:
        raise ConfigError(f"{choice} is not for {task}; choose one of {', '.join(fitting)}")
    return choice
