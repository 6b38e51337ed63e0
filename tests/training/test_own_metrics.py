"""The metrics in the log and the model file are those that an evaluation finds on the same rows."""

import numpy as np
import pytest

from p2pnet.agent.options import default_problem
from p2pnet.data.frame import frame_of
from p2pnet.data.samples import Samples
from p2pnet.data.scaling import Scaling
from p2pnet.training.evaluation import evaluate
from p2pnet.training.model_file import ModelFile
from p2pnet.training.own_metrics import own_metrics
from p2pnet.training.problem import describe_model, make_problem
from p2pnet.training.trained_model import trained_model

RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 2))
SCALING = Scaling(np.array([1.0, -1.0]), np.array([2.0, 0.5]), 3.0, 5.0)


@pytest.mark.parametrize(
    ("loss", "classes"),
    [
        ("softmax-cross-entropy", ("ant", "bee")),
        ("softmax-cross-entropy", ("ant", "bee", "cat")),
        ("logistic", ("ant", "bee")),
        ("squared-hinge", ("ant", "bee")),
        ("half-squared", ()),
    ],
)
def test_own_metrics_are_those_of_an_evaluation(loss: str, classes: tuple[str, ...]) -> None:
    task = "classification" if classes else "regression"
    Y = np.arange(80) % len(classes) if classes else RNG.standard_normal((80, 1))
    samples = Samples(X, Y, task, classes, ("a", "b"), "y")  # type: ignore[arg-type]
    scaled = SCALING.apply(samples)
    options = default_problem(samples.task, loss=loss, hidden=(3,))
    problem = make_problem(options, samples)
    params = RNG.standard_normal(problem.model.n_params)
    model = trained_model(ModelFile(params=params, description=describe_model(problem, options, samples, SCALING)))
    target = np.array(classes)[Y].tolist() if classes else Y[:, 0].tolist()
    rows = frame_of({"a": X[:, 0].tolist(), "b": X[:, 1].tolist(), "y": target})
    expected = {name: metric.value for name, metric in evaluate(model, rows).metrics.items()}
    found = own_metrics(problem, params, scaled, SCALING.target_scale if not classes else 1.0)
    assert found == pytest.approx({name: expected[name] for name in found})
    assert next(iter(found)) == problem.metric_name
    assert ("AUC" in found) == (len(classes) == 2 and problem.loss.has_probabilities)


def test_what_is_no_number_is_left_out() -> None:
    samples = Samples(X, np.zeros(80, dtype=np.intp), "classification", ("ant", "bee"), ("a", "b"), "y")
    problem = make_problem(default_problem("classification", hidden=()), samples)
    assert "AUC" not in own_metrics(problem, problem.first_params(), samples)
