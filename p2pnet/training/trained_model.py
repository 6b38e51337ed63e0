"""A trained model, ready to predict from raw rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.catalogue.losses import LOSSES
from p2pnet.data.frame import Frame, frame_of
from p2pnet.data.frame_columns import FrameColumns
from p2pnet.errors import ConfigError, ModelError
from p2pnet.optim.arrays import Array as Floats
from p2pnet.optim.losses.base import Loss
from p2pnet.optim.losses.by_name import loss_by_name
from p2pnet.optim.models.base import Model
from p2pnet.optim.models.factory import ModelRequest, load_model
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.model_file import ModelDescription, ModelFile, Network

Array = NDArray[np.float64]


@final
class TrainedModel:
    """Predictions g⁻¹(f(w; (x − mean) / scale)): f the network, g⁻¹ the loss's inverse link; for a regression of a
    scaled target its mean is added and its scale multiplied.

    Rows may be an array (n_rows, n_features) in the order of `columns`, a data frame of pandas or polars, a list of
    dicts, or a dict of columns. Where columns have names, their order is of no account, a missing or unknown one is a
    DataError that names it, and only the target's column and those in `ignore` may stand beside them.
    """

    def __init__(self, file: ModelFile, network: Model, loss: Loss) -> None:
        """The model of a file, whose network has as many inputs, outputs and parameters as the file says."""
        self.file = file
        self.network = network
        self.loss = loss
        _check(file, network)
        self._params = file.params.astype(network.dtype, copy=False)

    @property
    def description(self) -> ModelDescription:
        return self.file.description

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that are predicted from, in the model's order."""
        return self.description.columns

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities; none for a regression."""
        return self.description.classes

    @property
    def is_classifier(self) -> bool:
        return self.description.task == "classification"

    def predict(self, rows: Any, ignore: Collection[str] = ()) -> NDArray[Any]:
        """The most probable label of each row as text, or the value that is expected, (n_rows,)."""
        outputs = self.outputs(rows, ignore)
        if self.is_classifier:
            return np.array(self.classes)[self.class_indices(outputs)]
        return self.values(outputs)

    def predict_proba(self, rows: Any, ignore: Collection[str] = ()) -> Array:
        """The probabilities (n_rows, n_classes) of the labels in `classes`; ModelError where the model has none."""
        return self.probabilities(self.outputs(rows, ignore))

    def save(self, path: str | Path) -> None:
        """Write the model file."""
        self.file.save(Path(path))

    def pruned(self) -> Self:
        """The same function without hidden neurons whose fan-in weights are all zero: they put out a constant."""
        if not isinstance(self.network, Mlp):
            raise ModelError(f"{self.network.describe()}: only layered networks can be pruned")
        network, pruned = self.network.pruned(self.file.params)
        params = pruned.astype(np.float64, copy=False)
        shape = replace(self.description.network, text=network.describe(), sizes=network.sizes)
        description = replace(self.description, network=shape)
        return type(self)(
            replace(self.file, params=params, description=description),
            network,
            self.loss,
        )

    # The steps of a prediction.

    def outputs(self, rows: Any, ignore: Collection[str] = ()) -> Floats:
        """f(w; (x − mean) / scale), (n_rows, n_outputs), in the network's precision."""
        shape = self.description.network.input_shape
        if isinstance(rows, np.ndarray) and rows.ndim == 1 + len(shape) > 2 and rows.shape[1:] == shape:
            rows = rows.reshape(len(rows), len(self.columns))
        frame = frame_of(rows)
        if not frame.n_rows and not frame.columns:
            return np.empty((0, self.network.n_outputs))
        inputs = self.description.scaling.inputs(self._raw_inputs(frame, ignore), has_gaps=self._fills_gaps)
        return self.network.predict(self._params, inputs.astype(self.network.dtype, copy=False))

    @property
    def _fills_gaps(self) -> bool:
        return self.description.encoding is not None and self.description.encoding.fills_gaps

    def _raw_inputs(self, frame: Frame, ignore: Collection[str]) -> Array:
        """The inputs before scaling, (n_rows, n_inputs)."""
        ignored, encoding = {*ignore, self.description.target_name}, self.description.encoding
        if encoding is None:
            return frame.features(self.columns, ignored)
        values = FrameColumns(frame, encoding, ignored)
        inputs = encoding.numeric(values)
        categories = [values.category(column.name) for column in encoding.categories]
        return np.hstack([inputs, encoding.levels(categories)]) if categories else inputs

    def class_indices(self, outputs: Floats) -> NDArray[np.intp]:
        """The class of the largest output; of a single output, class 1 where it is above 0."""
        if outputs.shape[1] == 1:
            return (outputs[:, 0] > 0).astype(np.intp)
        indices: NDArray[np.intp] = outputs.argmax(axis=1)
        return indices

    def values(self, outputs: Floats) -> Array:
        """The expected values of a regression, (n_rows,), in the target's unit."""
        scaling = self.description.scaling
        expected = self.loss.inverse_link(outputs)[:, 0].astype(np.float64, copy=False)
        result: Array = expected * scaling.target_scale + scaling.target_mean
        return result

    @property
    def has_probabilities(self) -> bool:
        return self.is_classifier and self.loss.has_probabilities

    def probabilities(self, outputs: Floats) -> Array:
        """The probabilities of the classes, (n_rows, n_classes)."""
        if not self.has_probabilities:
            reason = f"loss {self.loss.name} has none" if self.is_classifier else "it is a regression"
            raise ModelError(f"the model predicts no probabilities: {reason}; ask for predictions without them")
        return self.loss.inverse_link(outputs).astype(np.float64, copy=False)


def load(path: str | Path, *, loss: str | None = None, factory: str | None = None) -> TrainedModel:
    """The model of a model file; DataError or ModelError says why there is none that can be used.

    `loss` is for files of release 0.1, which do not say by which loss they were trained. A model of one's own is code,
    which no file may choose: `factory` names it, and must be what the file says.
    """
    try:
        return trained_model(ModelFile.load(Path(path)), loss, factory)
    except ModelError as error:
        text = str(error)
        raise ModelError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from error


def trained_model(file: ModelFile, loss: str | None = None, factory: str | None = None) -> TrainedModel:
    """The model that a file describes."""
    if loss is not None and file.description.loss not in ("", loss):
        raise ModelError(f"was trained with loss {file.description.loss}, not {loss}")
    name = file.description.loss or loss or _loss_of_old(file)
    file = replace(file, description=replace(file.description, loss=name))
    try:
        return TrainedModel(file, _network(file.description, factory), loss_by_name(name))
    except ConfigError as error:
        raise ModelError(f"needs what is not installed here, or is damaged: {error}") from error


def _network(description: ModelDescription, factory: str | None) -> Model:
    shape = description.network
    if shape.sizes:
        if factory is not None:
            raise ModelError(f"holds {shape.text}, which needs no factory")
        return _mlp(shape)
    if factory is None:
        where = f" ({shape.factory!r} when it was trained)" if shape.factory else ""
        raise ModelError(
            f"holds a model of one's own, {shape.text}: give its factory as package.module:function{where}"
        )
    if shape.factory not in ("", factory):
        raise ModelError(f"was trained with factory {shape.factory}, not {factory}")
    has_one_output = LOSSES[description.loss].has_one_output
    n_outputs = 1 if has_one_output else len(description.classes) or 1
    request = ModelRequest(len(description.feature_names), n_outputs, shape.input_shape)
    network = load_model(factory, request, shape.arguments)
    if network.describe() != shape.text:
        raise ModelError(f"holds {shape.text!r}, while {factory} makes {network.describe()!r}")
    return network


def _mlp(shape: Network) -> Mlp:
    *hidden, last = shape.activations or ("",)
    if len(shape.activations) != len(shape.sizes) - 1 or last != "identity" or len(set(hidden)) > 1:
        raise ModelError(f"layers {shape.sizes} with activations {shape.activations} are not known to this p2pnet")
    if shape.precision not in ("float64", "float32"):
        raise ModelError(f"precision {shape.precision!r} is neither float64 nor float32")
    return Mlp(shape.sizes, hidden[0] if hidden else ACTIVATIONS.built_in_names[0], np.dtype(shape.precision))


def _loss_of_old(file: ModelFile) -> str:
    """The loss of a file of release 0.1, as far as it follows from what the file holds."""
    description, scaling = file.description, file.description.scaling
    if description.task == "classification" and description.network.sizes[-1:] != (1,):
        return "softmax-cross-entropy"
    if description.task == "regression" and (scaling.target_mean, scaling.target_scale) != (0.0, 1.0):
        return "half-squared"  # as all others for which the target is scaled, it takes the outputs as they are
    fitting = [entry.name for entry in LOSSES if description.task in entry.tasks]
    raise ModelError(
        "is of release 0.1 and does not say with which loss it was trained, on which predictions depend; give the "
        f"loss: one of {', '.join(fitting)}"
    )


def _check(file: ModelFile, network: Model) -> None:
    description, n_classes = file.description, len(file.description.classes)
    if file.params.size != network.n_params:
        raise ModelError(f"{network.describe()} has {network.n_params} parameters, the file holds {file.params.size}")
    if network.n_inputs != len(description.feature_names):
        raise ModelError(f"{network.describe()} takes {network.n_inputs} inputs, not {len(description.feature_names)}")
    if description.task not in LOSSES[description.loss].tasks:
        raise ModelError(f"loss {description.loss} is not for {description.task}")
    is_regression = description.task == "regression" and n_classes == 0 and network.n_outputs == 1
    is_classification = description.task == "classification" and (
        n_classes == network.n_outputs >= 2 or (network.n_outputs == 1 and n_classes == 2)
    )
    if not (is_regression or is_classification):
        raise ModelError(
            f"{description.task} into {n_classes} classes does not go with the {network.n_outputs} outputs of "
            f"{network.describe()}"
        )
