"""Sums of held-out rows, and what a model file says of the network's metrics."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from p2pnet.agent.options import training_options
from p2pnet.config import settings_of
from p2pnet.data.samples import Samples
from p2pnet.errors import ModelError
from p2pnet.protocol.core.effects import Measure
from p2pnet.protocol.core.types import MEASUREMENT
from p2pnet.training.held_out import most_sums
from p2pnet.training.model_file import ModelFile
from p2pnet.training.model_text import model_text
from p2pnet.training.training import Training, make_outline, make_training, statistics_alone, summarize
from tests.training.models import model_of


def training_of(n_rows: tuple[int, int, int], task: str = "classification") -> Training:
    """Of samples without structure, the numbers of rows being those of training, validation and test."""
    rng = np.random.default_rng(0)
    n = sum(n_rows)
    is_labelled = task == "classification"
    Y = rng.integers(0, 3, n) if is_labelled else 50.0 + 9.0 * rng.standard_normal((n, 1))
    classes = ("a", "b", "c") if is_labelled else ()
    samples = Samples(
        rng.standard_normal((n, 2)), Y, "classification" if is_labelled else "regression", classes, ("u", "v"), "y"
    )
    train, validation, test = (samples.take(rows) for rows in np.split(np.arange(n), np.cumsum(n_rows)[:-1]))
    settings = settings_of({"data.source": "t.csv", "data.split": {"validation": 0.1, "test": 0.2}}, "agent.toml")
    options = training_options(settings, samples.task)
    summary = summarize(options, train, test, validation)
    outline = make_outline(options, train, summary)
    assert outline.most_params >= most_sums(samples)
    return make_training(options, train, test, statistics_alone(summary, train), validation)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_metrics_of_one_agent_are_those_of_its_own_test_rows(task: str) -> None:
    training = training_of((60, 20, 40), task)
    assert training.held_out is not None
    sums = training.learner.measure(Measure(MEASUREMENT, 3, training.params)).sums
    assert sums.shape == (training.prepared.n_metric_sums,)
    metrics = training.held_out.metrics(sums / 3.0)
    own = training.metrics(training.params)
    assert own.keys() <= metrics["test"].keys()
    assert {name: metrics["test"][name] for name in own} == pytest.approx(dict(own), rel=1e-9)
    assert metrics["validation"] != metrics["test"]


def test_an_agent_that_holds_out_nothing_adds_nothing() -> None:
    training = training_of((60, 0, 0))
    assert training.held_out is not None
    assert not training.held_out.sums(training.params).any()
    assert training.held_out.metrics(np.zeros(training.held_out.n_sums)) == {}
    assert training.metrics(training.params) == {}
    assert np.isnan(training.learner.observe().test_metric)


def test_a_model_file_says_the_metrics_of_the_network(tmp_path: Path) -> None:
    found = {"validation": {"accuracy": 0.75, "recall of ä": 0.5}, "test": {"accuracy": 0.5}}
    file = replace(model_of().file, network_metrics=found)
    file.save(tmp_path / "model.npz")
    assert ModelFile.load(tmp_path / "model.npz").network_metrics == found
    assert file.describe()["network_metrics"] == found
    plain = model_of().file
    assert "network_metrics" not in plain.describe()
    wrong = replace(file, network_metrics={"test": {"accuracy": "high"}})  # type: ignore[dict-item]
    with pytest.raises(ModelError, match="entry 'network_metrics' holds what is no number"):
        ModelFile.from_bytes(wrong.to_bytes())


def test_a_model_file_says_what_the_agent_would_have_alone(tmp_path: Path) -> None:
    file = replace(model_of().file, alone_metrics={"accuracy": 0.5})
    file.save(tmp_path / "model.npz")
    assert ModelFile.load(tmp_path / "model.npz").alone_metrics == {"accuracy": 0.5}
    assert "(the same of a model trained alone)" in model_text(file)
    assert "alone_metrics" not in model_of().file.describe()
