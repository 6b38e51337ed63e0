"""The model file: a trained model and everything that a prediction needs, as an NPZ archive without pickle.

Entries of format 1; texts and numbers are arrays of shape (). Those marked ° stand in files of release 0.1 as well,
which have no others.

    params°            parameters (n_params,), layer by layer, neuron by neuron: fan-in weights, then the bias
    model°             the network as text, such as "mlp 4-8-3 tanh"
    task°              classification or regression
    classes°           labels (n_classes,) in the order of the outputs; empty for a regression
    feature_names°     inputs (n_features,) in their order; where there is no encoding, they are the columns
    target_name°       what is predicted
    feature_mean°, feature_scale°    (n_features,): inputs are (x − mean) / scale
    target_mean°, target_scale°      predictions of a regression are scale · y + mean
    format_version     1
    layer_sizes        (n_layers + 1,): inputs, hidden layers, outputs; empty for a model of one's own
    layer_activations  (n_layers,): identity for the last layer
    precision          float64 or float32: of parameters, inputs and outputs while predicting
    factory            package.module:name of what makes a model of one's own, else empty
    arguments          JSON: name -> value, of the factory; only where it has some
    input_shape        (n_dimensions,): of one sample as the factory's model takes it, where it is not a row of a table
    encoding           how columns become inputs: "none", each is one number; else JSON, as `data/encoding.py` reads it
    loss               name of the loss, which says what the outputs estimate
    metrics            JSON: name -> value, on the agent's own test samples
    network_metrics    JSON: `validation` and `test`, each name -> value, on the rows that all agents have held out for
                       it; only where they have, by data.split
    alone_metrics      JSON: name -> value, as metrics, of a model that the agent has trained alone to compare; only
                       where it has, by algorithm.compare_alone_s
    p2pnet_version, agent, rounds, objective, saved_at    who trained it, how long, with which objective, when (UTC)
    fingerprint        JSON: what all agents of the network had in common, field by field
    checksum           "sha256:" and the digest of all other entries
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, final, get_args

import numpy as np
from numpy.typing import NDArray

from p2pnet.catalogue.losses import Task
from p2pnet.data.encoding import Encoding
from p2pnet.data.files import read_file, write_file
from p2pnet.data.npz_archive import archive_bytes, read_archive, write_archive
from p2pnet.data.scaling import Scaling
from p2pnet.errors import DataError, ModelError

FORMAT_VERSION: Final = 1
_NO_ENCODING: Final = "none"

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The shape of a network."""

    text: str
    """as agents compare it"""
    sizes: tuple[int, ...] = ()
    """inputs, hidden layers, outputs; none for a model of one's own"""
    activations: tuple[str, ...] = ()
    """of each layer of weights"""
    precision: str = "float64"
    factory: str = ""
    """`package.module:name` of what makes a model of one's own"""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """of the factory"""
    input_shape: tuple[int, ...] = ()
    """of one sample, where it is not a row of a table"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What leads from raw rows to predictions, beside the parameters."""

    network: Network
    task: Task
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    target_name: str
    scaling: Scaling
    loss: str
    """a name in the catalogue; empty where a file of release 0.1 does not say it"""
    encoding: Encoding | None = None
    """how columns become inputs; None where each is one"""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that a prediction is made from."""
        return self.feature_names if self.encoding is None else self.encoding.names

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The names of the columns that are text in a file: labels, categories and dates."""
        columns = () if self.encoding is None else self.encoding.columns
        texts = tuple(column.name for column in columns if column.kind != "number")
        return texts if self.task == "regression" else (*texts, self.target_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a model comes from."""

    p2pnet_version: str = ""
    agent: str = ""
    rounds: int = 0
    objective: float = math.nan
    """mean loss over the agent's own samples, plus the penalty, when training ended"""
    saved_at: str = ""
    """ISO 8601, UTC"""
    epoch: int = 0
    """how often samples had changed since training first finished; with `rounds`, the version of the model"""
    lacks: tuple[str, ...] = ()
    """neighbors that were absent when it was trained"""
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    """what all agents of the network had in common"""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelFile:
    """Everything in a model file."""

    params: Array = field(repr=False)
    description: ModelDescription
    metrics: Mapping[str, float] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    network_metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """by the part that they are of"""
    alone_metrics: Mapping[str, float] = field(default_factory=dict)
    """as `metrics`, of a model trained on the agent's own samples alone"""
    format_version: int = FORMAT_VERSION

    @classmethod
    def load(cls, path: Path) -> ModelFile:
        """The model in a file; DataError or ModelError says why there is none that can be used."""
        content = read_file(path)
        try:
            return cls.from_bytes(content)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error

    @classmethod
    def from_bytes(cls, content: bytes) -> ModelFile:
        """The model in the bytes of a file."""
        return _model_file(_Entries(read_archive(content)))

    def to_bytes(self) -> bytes:
        """The bytes of the file."""
        return archive_bytes(self._checked_arrays())

    def write(self, file: IO[bytes]) -> None:
        """Write the same into a file."""
        write_archive(file, self._checked_arrays())

    def save(self, path: Path) -> None:
        """Write the file; DataError where that is not possible."""
        write_file(path, self.to_bytes())

    def describe(self) -> dict[str, Any]:
        """All but the parameters, as what JSON can hold."""
        arrays = {name: array.tolist() for name, array in self._arrays().items() if name != "params"}
        arrays["objective"] = self.provenance.objective if math.isfinite(self.provenance.objective) else None
        return {
            **arrays,
            "format_version": self.format_version,
            "n_params": int(self.params.size),
            "n_params_zero": int(np.sum(self.params == 0.0)),
            "metrics": dict(self.metrics),
            **({"network_metrics": _plain(self.network_metrics)} if self.network_metrics else {}),
            **({"alone_metrics": dict(self.alone_metrics)} if self.alone_metrics else {}),
            "fingerprint": dict(self.provenance.fingerprint),
        }

    def _checked_arrays(self) -> dict[str, Any]:
        arrays = self._arrays()
        return {**arrays, "checksum": _checksum(arrays)}

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """All entries but the checksum, by name; those that release 0.1 wrote come first, in its order."""
        description, network, provenance = self.description, self.description.network, self.provenance
        scaling = description.scaling
        return {
            "params": self.params,
            "model": np.array(network.text),
            "task": np.array(description.task),
            "classes": np.array(description.classes, dtype=str),
            "feature_names": np.array(description.feature_names, dtype=str),
            "target_name": np.array(description.target_name),
            "feature_mean": scaling.feature_mean,
            "feature_scale": scaling.feature_scale,
            "target_mean": np.array(scaling.target_mean),
            "target_scale": np.array(scaling.target_scale),
            "format_version": np.array(FORMAT_VERSION),
            "layer_sizes": np.array(network.sizes, dtype=np.int64),
            "layer_activations": np.array(network.activations, dtype=str),
            "precision": np.array(network.precision),
            "factory": np.array(network.factory),
            **({"arguments": np.array(json.dumps(dict(network.arguments)))} if network.arguments else {}),
            **({"input_shape": np.array(network.input_shape, dtype=np.int64)} if network.input_shape else {}),
            "encoding": np.array(_NO_ENCODING if description.encoding is None else description.encoding.to_json()),
            "loss": np.array(description.loss),
            "metrics": np.array(json.dumps(dict(self.metrics))),
            **({"network_metrics": np.array(json.dumps(_plain(self.network_metrics)))} if self.network_metrics else {}),
            **({"alone_metrics": np.array(json.dumps(dict(self.alone_metrics)))} if self.alone_metrics else {}),
            "p2pnet_version": np.array(provenance.p2pnet_version),
            "agent": np.array(provenance.agent),
            "rounds": np.array(provenance.rounds, dtype=np.int64),
            "objective": np.array(provenance.objective),
            "saved_at": np.array(provenance.saved_at),
            **({"epoch": np.array(provenance.epoch, dtype=np.int64)} if provenance.epoch else {}),
            **({"lacks": np.array(provenance.lacks, dtype=str)} if provenance.lacks else {}),
            "fingerprint": np.array(json.dumps(dict(provenance.fingerprint), ensure_ascii=False)),
        }


class _Entries:
    """The entries of an archive; ModelError where one is missing, or is not what it must be."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.arrays = arrays

    def vector(self, name: str) -> Array:
        """Finite numbers, (n,)."""
        values = self._entry(name, "fiu", 1).astype(np.float64)
        if not np.isfinite(values).all():
            raise ModelError(f"entry {name!r} holds numbers that are not finite; the training has diverged")
        return values

    def number(self, name: str) -> float:
        return float(self._entry(name, "fiu", 0))

    def whole(self, name: str) -> int:
        return int(self._entry(name, "iu", 0))

    def wholes(self, name: str) -> tuple[int, ...]:
        return tuple(map(int, self._entry(name, "iu", 1)))

    def text(self, name: str) -> str:
        return str(self._entry(name, "U", 0))

    def texts(self, name: str) -> tuple[str, ...]:
        # No text at all may have been written as an array of numbers.
        entry = self._entry(name, "Uf", 1)
        return tuple(map(str, entry)) if entry.dtype.kind == "U" or entry.size else ()

    def mapping(self, name: str) -> dict[str, Any]:
        """An object in JSON."""
        try:
            value = json.loads(self.text(name))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ModelError(f"entry {name!r} is no JSON object")
        return value

    def _entry(self, name: str, kinds: str, n_dimensions: int) -> NDArray[Any]:
        if name not in self.arrays:
            raise ModelError(f"has no entry {name!r}; is it a model.npz that p2pnet has written?")
        entry = self.arrays[name]
        if entry.dtype.kind not in kinds or entry.ndim != n_dimensions:
            raise ModelError(f"entry {name!r} is {entry.dtype} of shape {entry.shape}, which a model file has not")
        return entry


def _model_file(entries: _Entries) -> ModelFile:
    is_old = "format_version" not in entries.arrays
    version = 0 if is_old else entries.whole("format_version")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"has format {version}, this p2pnet reads up to {FORMAT_VERSION}; install the release that has written it"
        )
    if not is_old and entries.text("checksum") != _checksum(entries.arrays):
        raise ModelError("its checksum does not fit its content: the file is damaged, or was changed")
    names = entries.texts("feature_names")
    scaling = Scaling(
        entries.vector("feature_mean"),
        entries.vector("feature_scale"),
        entries.number("target_mean"),
        entries.number("target_scale"),
    )
    task = next((task for task in get_args(Task) if task == entries.text("task")), None)
    if task is None:
        raise ModelError(f"task {entries.text('task')!r} is not known to this p2pnet")
    if not len(scaling.feature_mean) == len(scaling.feature_scale) == len(names):
        raise ModelError("feature_names, feature_mean and feature_scale have not the same length")
    if not (scaling.feature_scale.all() and scaling.target_scale and math.isfinite(scaling.target_mean)):
        raise ModelError("a scale is 0, or a mean is not finite")
    told = _NO_ENCODING if is_old else entries.text("encoding")
    encoding = None if told == _NO_ENCODING else Encoding.from_json(told)
    if encoding is not None and encoding.inputs != names:
        raise ModelError("its encoding has other inputs than feature_names")
    description = ModelDescription(
        network=_old_network(entries) if is_old else _network(entries),
        task=task,
        classes=entries.texts("classes"),
        feature_names=names,
        target_name=entries.text("target_name"),
        scaling=scaling,
        loss="" if is_old else entries.text("loss"),
        encoding=encoding,
    )
    return ModelFile(
        params=entries.vector("params"),
        description=description,
        metrics={} if is_old else _metrics(entries, "metrics"),
        alone_metrics=_metrics(entries, "alone_metrics") if "alone_metrics" in entries.arrays else {},
        provenance=Provenance() if is_old else _provenance(entries),
        network_metrics=_network_metrics(entries) if "network_metrics" in entries.arrays else {},
        format_version=version,
    )


def _metrics(entries: _Entries, name: str) -> dict[str, float]:
    return _numbers(name, entries.mapping(name))


def _network_metrics(entries: _Entries) -> dict[str, dict[str, float]]:
    parts = entries.mapping("network_metrics")
    return {part: _numbers("network_metrics", metrics) for part, metrics in parts.items()}


def _numbers(entry: str, metrics: object) -> dict[str, float]:
    if not (isinstance(metrics, dict) and all(isinstance(value, int | float) for value in metrics.values())):
        raise ModelError(f"entry {entry!r} holds what is no number")
    return {name: float(value) for name, value in metrics.items()}


def _plain(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {part: dict(values) for part, values in metrics.items()}


def _network(entries: _Entries) -> Network:
    return Network(
        text=entries.text("model"),
        sizes=entries.wholes("layer_sizes"),
        activations=entries.texts("layer_activations"),
        precision=entries.text("precision"),
        factory=entries.text("factory"),
        arguments=entries.mapping("arguments") if "arguments" in entries.arrays else {},
        input_shape=entries.wholes("input_shape") if "input_shape" in entries.arrays else (),
    )


def _old_network(entries: _Entries) -> Network:
    """Of release 0.1: from "mlp 4-8-3 tanh", "linear 4-3 float32"; anything else is a model of one's own."""
    text = entries.text("model")
    kind, *words = text.split() or [""]
    precision = words.pop() if words[-1:] == ["float32"] else "float64"
    is_mlp, is_linear = kind == "mlp" and len(words) == 2, kind == "linear" and len(words) == 1
    if not ((is_mlp or is_linear) and all(size.isdecimal() for size in words[0].split("-"))):
        return Network(text=text)
    sizes = tuple(map(int, words[0].split("-")))
    hidden = (words[1],) * (len(sizes) - 2) if is_mlp else ()
    return Network(text=text, sizes=sizes, activations=(*hidden, "identity"), precision=precision)


def _provenance(entries: _Entries) -> Provenance:
    return Provenance(
        p2pnet_version=entries.text("p2pnet_version"),
        agent=entries.text("agent"),
        rounds=entries.whole("rounds"),
        objective=entries.number("objective"),
        saved_at=entries.text("saved_at"),
        epoch=entries.whole("epoch") if "epoch" in entries.arrays else 0,
        lacks=tuple(entries.texts("lacks")) if "lacks" in entries.arrays else (),
        fingerprint={name: str(value) for name, value in entries.mapping("fingerprint").items()},
    )


def _checksum(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Of all entries but the checksum itself, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(arrays.keys() - {"checksum"}):
        array = arrays[name]
        little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        # Text takes the width of the longest, which says nothing: its trailing zeros do not count.
        is_text = array.dtype.kind == "U"
        content = "\0".join(map(str, array.ravel())).encode() if is_text else little.reshape(-1).view(np.uint8).data
        head = f"{name} {'text' if is_text else little.dtype.str} {array.shape} {len(content)}\n"
        digest.update(head.encode())
        digest.update(content)
    return f"sha256:{digest.hexdigest()}"
