"""Penalties by their names."""

from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.optim.models.base import Model
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.penalties.group_l2 import neuron_groups


def penalty_by_name(name: str, model: Model, *numbers: float, is_bias_penalized: bool = False) -> Penalty:
    """The penalty of the parameters of `model` that is called `name`, with the numbers of its term; ConfigError if
    there is none.
    """
    entry = PENALTIES[name]
    build = entry.load()
    penalty: Penalty
    if entry.acts_on == "neurons":
        penalty = build(*numbers, group_of=neuron_groups(model.neurons(), model.n_params, is_bias_penalized))
    else:
        penalty = build(*numbers, penalized=None if is_bias_penalized else ~model.is_bias())
    return penalty
