"""A scikit-learn pipeline with the weights of a trained network.

This module imports NumPy and scikit-learn only: its text, with the numbers behind it, is what is exported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler


def make_pipeline(model: Mapping[str, Any]) -> Pipeline:
    """StandardScaler, then MLPClassifier or MLPRegressor, as if fitted: `predict` takes raw rows (n_rows, n_features).

    `model`: feature_names, feature_mean, feature_scale; weights, a matrix (fan_in, fan_out) a layer; biases; activation
    as scikit-learn names it; out_activation; classes, empty for a regression.
    """
    mean, scale = np.array(model["feature_mean"]), np.array(model["feature_scale"])
    n_features = len(mean)
    weights = [np.array(matrix, dtype=float) for matrix in model["weights"]]
    biases = [np.array(vector, dtype=float) for vector in model["biases"]]
    classes = np.array(model["classes"])
    kind = MLPClassifier if len(classes) else MLPRegressor
    network = kind(hidden_layer_sizes=tuple(len(vector) for vector in biases[:-1]), activation=model["activation"])
    network.coefs_, network.intercepts_ = weights, biases
    network.n_layers_ = len(weights) + 1
    network.n_outputs_ = len(biases[-1])
    network.out_activation_ = model["out_activation"]
    network.n_features_in_ = n_features
    if len(classes):
        network.classes_ = classes
        # scikit-learn's own way from outputs to labels, which has no public name.
        network._label_binarizer = LabelBinarizer().fit(classes)
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_, scaler.var_ = mean, scale, scale**2
    scaler.n_features_in_ = n_features
    scaler.n_samples_seen_ = 1
    scaler.feature_names_in_ = np.array(model["feature_names"], dtype=object)
    return Pipeline([("scale", scaler), ("network", network)])
