"""Weights of samples by their class: a rare one counts for more, so that it is not passed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pnet.data.samples import Samples
from p2pnet.errors import DataError

Array = NDArray[np.float64]

ClassWeights: TypeAlias = Literal["balanced"] | Mapping[str, float]
"""All classes alike, by how many samples of each the network has; or a weight by label, 1 for those without."""


LEAST_SHARE: Final = 1e-12
"""A class with less of the network's samples has none; what is left is rounding."""


def class_shares(samples: Samples) -> Array:
    """The part of the samples, or of their weights, that each class has, (n_classes,)."""
    counts = np.bincount(samples.Y, samples.weights, len(samples.classes)).astype(np.float64)
    shares: Array = counts / max(float(counts.sum()), np.finfo(np.float64).tiny)
    return shares


def balancing(classes: tuple[str, ...], shares: Array) -> dict[str, float]:
    """1 / (n_classes · share) by label: all classes count alike, and all samples together what they did."""
    weights = np.where(shares > LEAST_SHARE, 1.0 / (len(classes) * np.maximum(shares, LEAST_SHARE)), 1.0)
    return dict(zip(classes, weights.tolist(), strict=True))


def with_class_weights(samples: Samples, weights: Mapping[str, float]) -> Samples:
    """The samples, each weighted by its class as well; DataError names a label that there is not."""
    unknown = sorted(weights.keys() - {*samples.classes})
    if unknown:
        raise DataError(
            f"objective.class_weights: label {unknown[0]!r} is none of the classes {', '.join(samples.classes)}"
        )
    of_classes = np.array([weights.get(label, 1.0) for label in samples.classes])
    own = np.ones(samples.n_samples) if samples.weights is None else samples.weights
    return replace(samples, weights=own * of_classes[samples.Y])


def describe(weights: ClassWeights) -> str:
    """As agents compare it."""
    if isinstance(weights, str):
        return weights
    return ", ".join(f"{label} {weights[label]:g}" for label in sorted(weights))
