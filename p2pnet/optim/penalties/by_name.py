"""Penalties by their names."""

from p2pnet.errors import ConfigError
from p2pnet.optim.models.base import Model
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.penalties.box import Box, non_negativity
from p2pnet.optim.penalties.elastic_net import ElasticNet, l1
from p2pnet.optim.penalties.group_l2 import GroupL2, neuron_groups
from p2pnet.optim.penalties.no_penalty import NoPenalty
from p2pnet.optim.penalties.squared_l2 import SquaredL2


def penalty_by_name(
    name: str,
    model: Model,
    strength: float = 0.0,
    *,
    l1_ratio: float = 0.5,
    lower: float = -1.0,
    upper: float = 1.0,
    is_bias_penalized: bool = False,
) -> Penalty:
    """The penalty called `name` for the parameters of `model`; ConfigError if there is none."""
    penalized = None if is_bias_penalized else ~model.is_bias()
    match name:
        case "none":
            return NoPenalty()
        case "l2":
            return SquaredL2(strength, penalized)
        case "l1":
            return l1(strength, penalized)
        case "elastic-net":
            return ElasticNet(strength, l1_ratio, penalized)
        case "group":
            return GroupL2(strength, neuron_groups(model.neurons(), model.n_params, is_bias_penalized))
        case "box":
            return Box(lower, upper, penalized)
        case "non-negative":
            return non_negativity(penalized)
    known = "none, l2, l1, elastic-net, group, box, non-negative"
    raise ConfigError(f"unknown penalty {name!r}; known are {known}")
