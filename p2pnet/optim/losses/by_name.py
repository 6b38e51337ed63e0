"""Losses by their names."""

from p2pnet.errors import ConfigError
from p2pnet.optim.losses.base import Loss
from p2pnet.optim.losses.half_squared import HalfSquared
from p2pnet.optim.losses.huber import Huber
from p2pnet.optim.losses.log_cosh import LogCosh
from p2pnet.optim.losses.margin import Logistic, SquaredHinge
from p2pnet.optim.losses.poisson_deviance import PoissonDeviance
from p2pnet.optim.losses.softmax_cross_entropy import SoftmaxCrossEntropy


def loss_by_name(name: str, huber_delta: float = 1.0) -> Loss:
    """The loss called `name`; ConfigError if there is none."""
    known = {
        loss.name: loss
        for loss in (
            HalfSquared(),
            Huber(huber_delta),
            LogCosh(),
            Logistic(),
            SoftmaxCrossEntropy(),
            SquaredHinge(),
            PoissonDeviance(),
        )
    }
    try:
        return known[name]
    except KeyError:
        raise ConfigError(f"unknown loss {name!r}; known are {', '.join(sorted(known))}") from None
