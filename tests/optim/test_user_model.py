"""A user's own model: taken as it is, and told in one line what it lacks."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from p2pnet.errors import ModelError
from p2pnet.optim.local_objective import LocalObjective
from p2pnet.optim.losses.half_squared import HalfSquared
from p2pnet.optim.models.factory import ModelRequest, load_model
from p2pnet.optim.models.mlp import Mlp
from p2pnet.optim.models.user_model import UserModel
from p2pnet.optim.penalties.by_name import penalty_by_name
from p2pnet.optim.solvers.base import solve
from p2pnet.optim.solvers.conjugate_gradients import ConjugateGradients
from p2pnet.optim.surrogates.partial import PartialLinearization
from p2pnet.optim.surrogates.problem import SurrogateProblem

LINEAR = Mlp((3, 2))
REQUEST = ModelRequest(n_inputs=3, n_outputs=2)


class Linear:
    """A user's model that does by itself what Mlp((3, 2)) does."""

    name, version = "my-linear", "1.2"
    n_inputs, n_outputs, n_params = 3, 2, 8
    bias_mask = LINEAR.is_bias()

    def init(self, rng: np.random.Generator) -> Any:
        return LINEAR.init(rng)

    def predict(self, params: Any, X: Any) -> Any:
        return LINEAR.predict(params, X)

    def linearize(self, params: Any, X: Any) -> Any:
        return LINEAR.linearize(params, X)


@pytest.fixture
def user_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("users_models")
    monkeypatch.setitem(sys.modules, "users_models", module)
    return module


def test_a_complete_model_trains_like_a_built_in_one(user_module: ModuleType) -> None:
    user_module.make = Linear  # type: ignore[attr-defined]
    model = load_model("users_models:make", REQUEST)
    assert model.describe() == "my-linear 1.2"
    assert (model.n_inputs, model.n_outputs, model.n_params) == (3, 2, 8)
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    answers = []
    for each in (model, LINEAR):
        w = each.init(np.random.default_rng(1))
        local_model = PartialLinearization().local_model(LocalObjective(each, HalfSquared(), X, Y), w, rng)
        penalty = penalty_by_name("l2", each, 0.1)
        problem = SurrogateProblem(local_model, w, local_model.gradient_at_origin, penalty, 0.1)
        answers.append(solve(problem, ConjugateGradients()).best_response)
    np.testing.assert_array_equal(answers[0], answers[1])


def test_its_linearization_can_be_cut_into_blocks_and_formed() -> None:
    model, w = UserModel(Linear()), LINEAR.init(np.random.default_rng(0))
    X = np.random.default_rng(1).standard_normal((5, 3))
    own, reference = model.linearize(w, X), LINEAR.linearize(w, X)
    np.testing.assert_allclose(own.jacobian(), reference.jacobian(), atol=1e-14)
    block = slice(0, 4)
    np.testing.assert_allclose(
        own.restricted(block).jvp(w[block]), reference.restricted(block).jvp(w[block]), atol=1e-14
    )


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("users_models", 'write it as "package.module:function"'),
        ("no_such_module_anywhere:make", "importing no_such_module_anywhere failed"),
        ("users_models:make", "has no function make"),
    ],
)
@pytest.mark.usefixtures("user_module")
def test_a_factory_that_is_not_there_is_named(factory: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(factory, REQUEST)


def test_a_factory_that_fails_says_why(user_module: ModuleType) -> None:
    user_module.make = lambda: 1 / 0  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="ZeroDivisionError"):
        load_model("users_models:make", REQUEST)


def test_what_is_missing_is_listed() -> None:
    with pytest.raises(
        ModelError, match=r"has no version \(a string\), no linearize \(a method linearize\(params, X\)\)"
    ):
        UserModel(SimpleNamespace(name="x", n_inputs=1, n_outputs=1, n_params=2, init=min, predict=min))


@pytest.mark.parametrize(
    ("method", "answer", "message"),
    [
        ("init", np.zeros(7), r"init returned shape \(7,\); expected \(8,\)"),
        ("predict", "no", "predict must return numbers"),
        ("predict", np.zeros((4, 3)), r"predict returned shape \(4, 3\); expected \(4, 2\)"),
        ("linearize", SimpleNamespace(predictions=np.zeros((4, 2))), "linearize returns has no jvp"),
    ],
)
def test_wrong_answers_are_caught_where_they_enter(method: str, answer: object, message: str) -> None:
    given = Linear()
    setattr(given, method, lambda *_: answer)
    arguments = (np.random.default_rng(0),) if method == "init" else (np.zeros(8), np.zeros((4, 3)))
    with pytest.raises(ModelError, match=message):
        getattr(UserModel(given), method)(*arguments)


def test_an_error_inside_the_users_code_says_where() -> None:
    with pytest.raises(ModelError, match="predict raised ModelError: linear 3-2 takes X of shape"):
        UserModel(Linear()).predict(np.zeros(8), np.zeros((4, 5)))


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("n_params", 0, "n_params is 0"),
        ("n_inputs", 2.5, "n_inputs is 2.5"),
        ("bias_mask", [True], "bias_mask has shape"),
    ],
)
def test_wrong_declarations_are_caught(attribute: str, value: object, message: str) -> None:
    given = Linear()
    setattr(given, attribute, value)
    with pytest.raises(ModelError, match=message):
        UserModel(given)
