"""Step rules and surrogates by name: the parts that they are made of, each with a state of its own."""

import numpy as np
import pytest

from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.catalogue.surrogates import SURROGATES, SurrogateEntry
from p2pnet.errors import ConfigError
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.half_squared import HalfSquared
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.proximal_weight import ConstantWeight, ProximalWeightRule, SecantWeight
from p2pnet.optim.step_rules import make_step_rule
from p2pnet.optim.step_sizes import DiminishingStep, FullStep, MomentumStep, StepSizeRule
from p2pnet.optim.surrogates.base import Surrogate
from p2pnet.optim.surrogates.by_name import surrogate_by_name
from p2pnet.optim.surrogates.full import FullLinearization
from p2pnet.optim.surrogates.partial import PartialLinearization

EVERY: dict[str, tuple[type[ProximalWeightRule], type[StepSizeRule], float]] = {
    "secant": (SecantWeight, MomentumStep, 0.7),
    "constant:2": (ConstantWeight, FullStep, 2.0),
    "diminishing:0.5:0.1": (ConstantWeight, DiminishingStep, 0.7),
}


def test_every_built_in_rule_is_tested() -> None:
    assert {text.partition(":")[0] for text in EVERY} == set(STEP_RULES.built_in_names)


@pytest.mark.parametrize("text", EVERY)
def test_a_rule_has_its_parts_and_its_first_weight(text: str) -> None:
    rule = make_step_rule(STEP_RULES.parse(text), proximal_weight=0.7)
    weight, step_size, first = EVERY[text]
    assert (type(rule.proximal_weight), type(rule.step_size)) == (weight, step_size)
    assert rule.proximal_weight.weight == first


@pytest.mark.parametrize("text", EVERY)
def test_no_two_agents_share_a_state(text: str) -> None:
    one, other = (make_step_rule(STEP_RULES.parse(text), proximal_weight=0.7) for _ in range(2))
    first = other.proximal_weight.weight
    one.proximal_weight.reject()
    assert other.proximal_weight.weight == first
    w, v = np.zeros(1), np.ones(1)
    proposal = one.step_size.proposal(w, v, None, 0.0)
    np.testing.assert_array_equal(other.step_size.proposal(w, v, None, 0.0), proposal)


def test_surrogates_take_their_own_settings_only() -> None:
    chosen = {"curvature_samples": 3, "rounds": 7}
    made: list[Surrogate] = [surrogate_by_name(name, chosen) for name in SURROGATES.built_in_names]
    assert {type(surrogate) for surrogate in made} == {FullLinearization, PartialLinearization}
    with pytest.raises(ConfigError, match="at least 1"):
        surrogate_by_name("partial", {"curvature_samples": 0})
    with pytest.raises(ConfigError, match="surrogate 'half': must be one of partial, full"):
        surrogate_by_name("half", chosen)


@pytest.mark.parametrize("entry", list(SURROGATES), ids=lambda entry: entry.name)
def test_the_catalogue_knows_which_local_models_have_curvature(entry: SurrogateEntry) -> None:
    rng, model = np.random.default_rng(0), Mlp((3, 1))
    objective = LocalObjective(model, HalfSquared(), rng.standard_normal((9, 3)), rng.standard_normal(9))
    surrogate = surrogate_by_name(entry.name, {"curvature_samples": None})
    product = surrogate.local_model(objective, model.init(rng), rng).curvature(np.zeros(4)).product(np.ones(4))
    assert product.any() == entry.has_curvature
