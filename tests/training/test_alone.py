"""Training alone: what an agent would have without the network."""

from itertools import count
from typing import Any

import numpy as np

from p2pnet.agent.options import training_options
from p2pnet.config import settings_of
from p2pnet.data.samples import Samples
from p2pnet.testing import least_squares, linear_shard
from p2pnet.training.alone import metrics_alone, train_alone
from p2pnet.training.training import Training, make_training, statistics_alone, summarize

SHARD = linear_shard(0, n_samples=60)


def training_of(**values: Any) -> Training:
    samples = Samples(SHARD.X, SHARD.y[:, None], "regression", (), ("u", "v", "w"), "y")
    train, validation, test = (samples.take(slice(k, k + 20)) for k in (0, 20, 40))
    settings = {"data.source": "t.csv", "data.split": {"validation": 0.3, "test": 0.3}, "objective.penalty": "none"}
    options = training_options(settings_of({**settings, "model.hidden": (), **values}, "agent.toml"), "regression")
    statistics = statistics_alone(summarize(options, train, test, validation), train)
    return make_training(options, train, test, statistics, validation)


def test_an_agent_alone_comes_to_the_solution_of_its_own_rows() -> None:
    training = training_of(**{"data.standardize": "none"})
    n_rounds, params, _ = train_alone(training.learner, training.params, 1000, 1e-10)
    own = type(SHARD)(SHARD.X[:20], SHARD.y[:20])
    np.testing.assert_allclose(params, least_squares([own]), rtol=1e-6)
    assert 1 < n_rounds < 1000


def test_it_ends_when_time_is_up() -> None:
    training = training_of(**{"data.standardize": "none"})
    calls = count()
    n_rounds, _, evaluated = train_alone(
        training.learner, training.params, 1000, 0.0, is_time_up=lambda: next(calls) == 5
    )
    assert n_rounds == evaluated.round == 5


def test_metrics_are_of_the_agents_own_test_rows_and_early_stopping_holds_too() -> None:
    found = {}
    for patience in (None, 16):
        training = training_of(**{"algorithm.patience": patience, "model.hidden": (20,)})
        n_rounds, metrics = metrics_alone(training, 400, 1e-8, lambda: False)
        assert metrics.keys() == {"R²", "RMSE", "MAE"}
        assert metrics["R²"] > 0.8
        found[patience] = n_rounds
    assert 16 <= found[16] < found[None]
