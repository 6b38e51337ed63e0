"""Toy problems with known solutions: linear regression, one shard per agent.

Nothing here does input or output, or draws a number that no seed decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

TRUE_WEIGHTS = (1.0, -2.0, 0.5)

LINEAR_REGRESSION: Mapping[str, Any] = MappingProxyType(
    {
        "data.task": "regression",
        "data.standardize": "none",
        "data.test_source": "samples.npz",  # else a part of the samples would not be trained on
        "model.hidden": (),
        "objective.penalty": "none",
    }
)
"""Settings with which agents train the least-squares solution over all samples of all agents."""


class Shard(NamedTuple):
    """The samples of one agent: features X (n_samples, n_features) and targets y (n_samples,)."""

    X: Array
    y: Array


def linear_shard(seed: int, n_samples: int = 40, weights: Sequence[float] = TRUE_WEIGHTS, noise: float = 0.1) -> Shard:
    """A shard with y = X w + noise · ε, with standard normal X and ε."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, len(weights)))
    return Shard(X, X @ np.asarray(weights) + noise * rng.standard_normal(n_samples))


def linear_shards(n_agents: int, seed: int = 0, n_samples: int = 40, noise: float = 0.1) -> list[Shard]:
    """Draw one shard per agent, all from the same true weights."""
    return [linear_shard(seed + k, n_samples, noise=noise) for k in range(n_agents)]


def least_squares(shards: Sequence[Shard], standardized_by: Sequence[Shard] = ()) -> Array:
    """The minimiser (w, b) of Σ ½ (x·w + b − y)² over the samples of all shards: the parameters of a linear model.

    With `standardized_by`, features and targets are first centered and divided by their deviation over the samples of
    those shards, as data.standardize = "network" does.
    """
    columns = _columns(shards)
    if standardized_by:
        scale = _columns(standardized_by)
        columns = (columns - scale.mean(axis=0)) / scale.std(axis=0)
    X, y = columns[:, :-1], columns[:, -1]
    return np.asarray(np.linalg.lstsq(np.hstack([X, np.ones((len(X), 1))]), y, rcond=None)[0], dtype=np.float64)


def relative_errors(models: Sequence[Array], solution: Array) -> list[float]:
    """‖model − solution‖ / ‖solution‖ of each model."""
    return [float(np.linalg.norm(model - solution) / np.linalg.norm(solution)) for model in models]


def disagreement(models: Sequence[Array]) -> float:
    """The largest difference of a parameter between the first model and any other."""
    return max(float(np.abs(model - models[0]).max()) for model in models)


def _columns(shards: Sequence[Shard]) -> Array:
    return np.vstack([np.column_stack(shard) for shard in shards])
