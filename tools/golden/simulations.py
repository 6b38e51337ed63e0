"""Short simulations whose outcomes are kept, as the options of `p2pnet simulate`: data, which needs no p2pnet.

They take numbers of double precision on the wire unless they are about others: a number that is rounded to single
precision may be rounded up on one processor and down on another.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_USUAL: Mapping[str, Any] = {"agents": 6, "rounds": 20, "wire": "float64", "is_compared": False}

WITHOUT_FAULTS: Mapping[str, Mapping[str, Any]] = {
    "ring": {"data": "iris", "hidden": (8,)},
    "grid, huber, l1, to rest": {
        "topology": "grid",
        "data": "diabetes",
        "hidden": (),
        "loss": "huber",
        "penalty": "l1:1e-2",
        "tolerance": 1e-2,
        "rounds": 200,
    },
    "star, log-cosh, elastic-net, constant weight": {
        "topology": "star",
        "data": "diabetes",
        "hidden": (8,),
        "loss": "log-cosh",
        "penalty": "elastic-net:1e-2:0.5",
        "step_rule": "constant:1",
        "activation": "softplus",
    },
    "full, logistic, group": {
        "topology": "full",
        "data": "breast-cancer",
        "hidden": (4,),
        "loss": "logistic",
        "penalty": "group:1e-2",
    },
    "random, squared hinge, box": {
        "topology": "random:0.5",
        "data": "breast-cancer",
        "hidden": (),
        "loss": "squared-hinge",
        "penalty": "box:-0.2:0.2",
        "seed": 3,
    },
    "regular, softmax, non-negative": {
        "topology": "regular:4",
        "agents": 8,
        "data": "digits",
        "hidden": (),
        "penalty": "non-negative",
        "loss": "softmax-cross-entropy",
        "rounds": 10,
    },
    "one-peer-exponential, half-squared, no penalty": {
        "topology": "one-peer-exponential",
        "data": "diabetes",
        "hidden": (8,),
        "loss": "half-squared",
        "penalty": "none",
    },
    "matching": {"topology": "matching", "data": "iris", "hidden": (8,), "activation": "sigmoid", "seed": 1},
    "torus, exchanges, cg, synthetic": {
        "topology": "torus",
        "data": "synthetic:regression:300:6",
        "hidden": (8,),
        "exchanges": 2,
        "solver": "cg",
    },
    "exponential, proximal newton, synthetic": {
        "topology": "exponential",
        "data": "synthetic:classification:300:5:3",
        "hidden": (),
        "solver": "proximal-newton",
        "penalty": "l1:1e-3",
    },
    "gradient tracking": {"algorithm": "gradient-tracking", "data": "diabetes", "hidden": (8,), "step_size": 0.2},
    "dgd": {"algorithm": "dgd", "topology": "path", "data": "iris", "hidden": (), "penalty": "l1:1e-3"},
    "dpsgd": {"algorithm": "dpsgd", "topology": "random:0.5", "data": "wine", "hidden": (8,), "batch_size": 8},
    "alone": {"algorithm": "alone", "data": "iris", "hidden": (8,)},
    "central, to rest": {"algorithm": "central", "data": "diabetes", "hidden": (), "rounds": 100, "tolerance": 1e-6},
    "before mixing, own weighting, curvature of some": {
        "data": "diabetes",
        "hidden": (8,),
        "gradient_order": "before-mixing",
        "weighting": "own",
        "curvature_samples": 20,
    },
    "paper's weighting, full surrogate, diminishing": {
        "data": "wine",
        "hidden": (),
        "weighting": "paper",
        "surrogate": "full",
        "step_rule": "diminishing:0.9:0.01",
        "penalty": "l1:1e-3",
    },
    "paper's weighting, before mixing": {
        "data": "diabetes",
        "hidden": (8,),
        "weighting": "paper",
        "gradient_order": "before-mixing",
    },
    "blocks and workers": {
        "data": "digits",
        "hidden": (8,),
        "blocks": 2,
        "workers": 2,
        "rounds": 12,
        "activation": "relu",
    },
    "two processes": {
        "topology": "regular:4",
        "agents": 8,
        "data": "wine",
        "hidden": (8,),
        "processes": 2,
        "activation": "gelu",
    },
    "sorted, to rest": {
        "data": "iris",
        "hidden": (),
        "partition": "sorted",
        "rounds": 300,
        "penalty": "l2:1e-2",
    },
    "float32": {"data": "iris", "hidden": (8,), "is_float32": True, "rounds": 15, "wire": "auto"},
    "float32 on the wire, to rest": {
        "topology": "full",
        "data": "diabetes",
        "hidden": (),
        "wire": "float32",
        "rounds": 200,
    },
}

WITH_FAULTS: Mapping[str, Mapping[str, Any]] = {
    "loss, duplicates, delays": {
        "data": "iris",
        "hidden": (),
        "loss_rate": 0.2,
        "duplicate_rate": 0.1,
        "delay_rounds": 2.0,
        "rounds": 30,
    },
    "loss, neural network": {"data": "iris", "hidden": (8,), "loss_rate": 0.3, "topology": "regular:3"},
    "churn": {"data": "iris", "hidden": (), "topology": "full", "churn": 0.02, "rounds": 110, "tolerance": 0.0},
    "cut": {"data": "diabetes", "hidden": (), "cut": (10, 30), "rounds": 60, "tolerance": 0.0},
    "asynchronous, speeds": {
        "data": "diabetes",
        "hidden": (),
        "is_asynchronous": True,
        "speeds": (1.0, 1.0, 0.5, 1.0, 0.3, 1.0),
    },
    "speeds": {"data": "wine", "hidden": (), "topology": "star", "speeds": (1.0, 0.5, 0.25, 1.0, 2.0, 1.0)},
}
"""Kept apart, since the order in which the network throws its dice may be changed on purpose."""

SIMULATIONS = {name: {**_USUAL, **options} for name, options in {**WITHOUT_FAULTS, **WITH_FAULTS}.items()}


def is_of_single_precision(name: str) -> bool:
    """Whether numbers are rounded to float32 somewhere."""
    return bool(SIMULATIONS[name]["wire"] != "float64")


def run(name: str, simulate: Callable[[Any], Any], make_options: Callable[..., Any]) -> Any:
    """What `simulate` leaves of this simulation."""
    options = dict(SIMULATIONS[name])
    with tempfile.TemporaryDirectory() as directory:
        if "speeds" in options:
            file = Path(directory) / "speeds.txt"
            file.write_text("".join(f"{speed}\n" for speed in options["speeds"]), encoding="utf-8")
            options["speeds"] = file
        return simulate(make_options(**options))
