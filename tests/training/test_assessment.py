"""What people are shown of parameters: counted by hand, or as an evaluation finds it."""

import numpy as np
import pytest

from p2pnet.agent.options import default_problem
from p2pnet.data.frame import frame_of
from p2pnet.data.samples import Samples
from p2pnet.data.scaling import no_scaling
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.assessment import assess
from p2pnet.training.evaluation import evaluate
from p2pnet.training.model_file import ModelFile
from p2pnet.training.problem import describe_model, make_problem
from p2pnet.training.trained_model import trained_model

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 2))


def test_zeros_and_idle_neurons_are_counted_by_layer() -> None:
    samples = Samples(X, RNG.standard_normal((90, 1)), "regression", (), ("a", "b"), "y")
    problem = make_problem(default_problem("regression", hidden=(3,)), samples)
    assert isinstance(problem.model, Mlp)
    params = np.ones(problem.model.n_params)
    weights, biases = problem.model.layer(params, 0)
    weights[1], weights[2, 0], biases[0] = 0.0, 0.0, 0.0
    hidden, output = assess(problem, samples, 1.0, 7, params).layers
    assert (hidden.name, hidden.n_inputs, hidden.n_outputs, hidden.n_params) == ("hidden 1", 2, 3, 9)
    assert (hidden.n_zero, hidden.n_idle) == (4, 1)
    assert hidden.norm == pytest.approx(np.sqrt(5))
    assert (output.name, output.n_params, output.n_zero, output.n_idle) == ("output", 4, 0, 0)


@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "logistic"])
def test_the_quality_of_each_class_is_that_of_an_evaluation(loss: str) -> None:
    classes = ("ant", "bee", "cat") if loss == "softmax-cross-entropy" else ("ant", "bee")
    samples = Samples(X, np.arange(90) % len(classes), "classification", classes, ("a", "b"), "y")
    options = default_problem("classification", loss=loss, hidden=(3,))
    problem = make_problem(options, samples)
    params = RNG.standard_normal(problem.model.n_params)
    found = assess(problem, samples, 1.0, 7, params)
    description = describe_model(problem, options, samples, no_scaling(2))
    model = trained_model(ModelFile(params=params, description=description))
    target = np.array(classes)[samples.Y].tolist()
    expected = evaluate(model, frame_of({"a": X[:, 0].tolist(), "b": X[:, 1].tolist(), "y": target}))
    assert found.metrics["accuracy"] == expected.metrics["accuracy"].value
    for own, of_evaluation in zip(found.per_class, expected.per_class, strict=True):
        assert (own.label, own.n_samples) == (of_evaluation.label, of_evaluation.n_samples)
        assert own.recall == pytest.approx(of_evaluation.recall.value)
        assert own.f1 == pytest.approx(of_evaluation.f1)
        if not np.isnan(of_evaluation.precision.value):
            assert own.precision == pytest.approx(of_evaluation.precision.value)


def test_without_test_samples_there_is_no_quality_to_tell() -> None:
    samples = Samples(X[:0], np.zeros(0, np.intp), "classification", ("ant", "bee"), ("a", "b"), "y")
    problem = make_problem(default_problem("classification", hidden=()), samples)
    found = assess(problem, samples, 1.0, 0, problem.first_params())
    assert (found.metrics, found.per_class) == ({}, ())
    assert [layer.name for layer in found.layers] == ["output"]
