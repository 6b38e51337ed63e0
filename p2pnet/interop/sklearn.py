"""scikit-learn's estimators: trained over shards of the rows by simulated agents."""

from __future__ import annotations

import sys
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_random_state, validate_data

from p2pnet.data.samples import Samples
from p2pnet.errors import ModelError
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.interop.simulation import GIVEN, simulate_samples
from p2pnet.training.trained_model import TrainedModel

MAX_SEED = 2**31 - 1


class _Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share. Nothing that scikit-learn checks is checked before `fit`."""

    def __init__(
        self,
        hidden: tuple[int, ...] = (32,),
        activation: str = "tanh",
        loss: str = "auto",
        penalty: str = "l2:1e-4",
        *,
        n_agents: int = 4,
        topology: str = "ring",
        partition: str = "iid",
        rounds: int = 200,
        tolerance: float | None = None,
        standardize: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.loss = loss
        self.penalty = penalty
        self.n_agents = n_agents
        self.topology = topology
        self.partition = partition
        self.rounds = rounds
        self.tolerance = tolerance
        self.standardize = standardize
        self.random_state = random_state

    @classmethod
    def from_model(cls, model: TrainedModel) -> Self:
        """A fitted estimator that predicts with a trained model, such as one that a network of agents has left.

        ModelError where its columns are not all numbers.
        """
        if model.description.encoding is not None:
            raise ModelError("its columns are not all numbers, as scikit-learn wants them; predict with p2pnet.load")
        estimator = cls()
        estimator._adopt(model)
        estimator.n_features_in_ = len(model.columns)
        estimator.feature_names_in_ = np.array(model.columns, dtype=object)
        return estimator

    def _adopt(self, model: TrainedModel) -> None:
        self.model_ = model
        self.n_iter_ = model.file.provenance.rounds

    def _fit(self, samples: Samples) -> Self:
        """Train on these rows, cut into a shard for each agent; with one agent, without a network."""
        # A row that counts for nothing belongs to no shard.
        if samples.weights is not None:
            samples = samples.take(np.flatnonzero(samples.weights > 0.0))
            if samples.n_samples < 2:
                raise ValueError("sample_weight: fewer than 2 samples have a weight above 0; give more")
        seed = int(check_random_state(self.random_state).randint(MAX_SEED))
        n_agents = min(self.n_agents, samples.n_samples)
        options = SimulateOptions(
            agents=max(2, n_agents),
            algorithm="next" if n_agents > 1 else "central",
            topology=self.topology,
            data=GIVEN,
            partition=self.partition,  # type: ignore[arg-type]  # checked by the options
            hidden=tuple(self.hidden),
            activation=self.activation,
            loss=self.loss,
            penalty=self.penalty,
            rounds=self.rounds,
            tolerance=self.tolerance,
            seed=seed,
            is_compared=False,
        )
        simulation = simulate_samples(options, samples, samples, is_scaled=self.standardize)
        self._adopt(simulation.model)
        self.n_iter_ = max(1, self.n_iter_)
        return self

    def _names(self) -> tuple[str, ...]:
        """Of the columns: those of the data frame, or x1, x2, …"""
        given = self.__dict__.get("feature_names_in_")
        return tuple(given) if given is not None else tuple(f"x{k + 1}" for k in range(self.n_features_in_))

    def _outputs(self, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        checked = validate_data(self, self._in_order(X), reset=False, dtype=np.float64)
        return self.model_.outputs(checked)

    def _in_order(self, X: Any) -> Any:
        """A data frame of pandas or polars with the columns in the order of `fit`, if it has the same."""
        names = list(self.__dict__.get("feature_names_in_", ()))
        for library in ("pandas", "polars"):
            module = sys.modules.get(library)
            if module is not None and isinstance(X, module.DataFrame) and sorted(X.columns) == sorted(names):
                return X[names]
        return X


@final
class P2PClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A classifier whose rows are cut into shards, over which simulated agents train one network.

    `hidden`, `activation`, `loss`, `penalty` as in agent.toml; `n_agents` shards by `partition` (iid or sorted) on the
    graph `topology`; at most `rounds` rounds, fewer where the residual falls to `tolerance` of the first. Attributes
    after `fit`: `classes_`, `model_` (a `TrainedModel`, which can be saved), `n_iter_` rounds.
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on rows X (n_rows, n_features) with labels y (n_rows,)."""
        rows, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, rows, dtype=np.float64)
        n_present = len(np.unique(codes if weights is None else codes[weights > 0.0]))
        if n_present < 2:
            raise ValueError("P2PClassifier: y has one class only; give samples of at least two classes")
        labels = tuple(map(str, self.classes_.tolist()))
        return self._fit(Samples(rows, codes, "classification", labels, self._names(), "y", weights))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable label of each row, (n_rows,)."""
        outputs = self._outputs(X)
        labels: NDArray[Any] = self.classes_[self.model_.class_indices(outputs)]
        return labels

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """The probabilities of `classes_`, (n_rows, n_classes)."""
        outputs = self._outputs(X)
        return self.model_.probabilities(outputs)

    def _adopt(self, model: TrainedModel) -> None:
        super()._adopt(model)
        if "classes_" not in self.__dict__:
            self.classes_ = np.array(model.classes)


@final
class P2PRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A regressor whose rows are cut into shards, over which simulated agents train one network.

    Parameters and attributes are those of `P2PClassifier`, but for the classes.
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on rows X (n_rows, n_features) with values y (n_rows,)."""
        rows, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2, y_numeric=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, rows, dtype=np.float64)
        values = np.asarray(y, dtype=np.float64).reshape(-1, 1)
        return self._fit(Samples(rows, values, "regression", (), self._names(), "y", weights))

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """The expected value of each row, (n_rows,)."""
        outputs = self._outputs(X)
        return self.model_.values(outputs)
