"""Model files for tests: networks with random weights, and rows to predict for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2pnet.catalogue.losses import LOSSES, Task
from p2pnet.data.scaling import Scaling
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.model_file import ModelDescription, ModelFile, Network, Provenance
from p2pnet.training.trained_model import TrainedModel, trained_model

COLUMNS = ("age", "height", "blood pressure", "größe")
CLASSES = ("zebra", "ant", "bee")


def model_of(
    loss: str = "softmax-cross-entropy",
    *,
    activation: str = "tanh",
    hidden: Sequence[int] = (6, 5),
    classes: Sequence[str] = CLASSES,
    precision: str = "float64",
    seed: int = 0,
) -> TrainedModel:
    """A network with random weights and biases, scaled columns, and all the rest of a model file."""
    rng = np.random.default_rng(seed)
    task: Task = "classification" if "classification" in LOSSES[loss].tasks else "regression"
    labels = tuple(classes) if task == "classification" else ()
    if LOSSES[loss].has_one_output:
        labels = labels[:2]
    n_outputs = 1 if LOSSES[loss].has_one_output else len(labels) or 1
    network = Mlp((len(COLUMNS), *hidden, n_outputs), activation, np.dtype(precision))
    is_scaled = task == "regression" and LOSSES[loss].is_target_scaled
    description = ModelDescription(
        network=Network(
            text=network.describe(),
            sizes=network.sizes,
            activations=(*(activation for _ in hidden), "identity"),
            precision=precision,
        ),
        task=task,
        classes=labels,
        feature_names=COLUMNS,
        target_name="kind",
        scaling=Scaling(
            rng.standard_normal(4) * 10, rng.uniform(0.5, 3.0, 4), *((250.0, 40.0) if is_scaled else (0.0, 1.0))
        ),
        loss=loss,
    )
    file = ModelFile(
        params=0.7 * rng.standard_normal(network.n_params),
        description=description,
        metrics={"accuracy": 0.5},
        provenance=Provenance(
            p2pnet_version="0.2.0",
            agent="ann",
            rounds=12,
            objective=0.25,
            saved_at="2026-01-02T03:04:05+00:00",
            fingerprint={"loss": loss},
        ),
    )
    return trained_model(file)


def rows_for(model: TrainedModel, n_rows: int = 40, seed: int = 1) -> NDArray[np.float64]:
    """Rows as far from the columns' means as training samples would be, (n_rows, 4)."""
    scaling = model.description.scaling
    standard = np.random.default_rng(seed).standard_normal((n_rows, len(model.columns)))
    rows: NDArray[np.float64] = standard * scaling.feature_scale + scaling.feature_mean
    return rows


def as_dicts(model: TrainedModel, X: NDArray[np.float64], order: Sequence[int] = (0, 1, 2, 3)) -> list[dict[str, Any]]:
    """The rows as dicts whose keys come in this order."""
    return [{model.columns[k]: row[k] for k in order} for row in X.tolist()]
