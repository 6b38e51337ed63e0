"""What seeded simulations and surveys come to."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden import simulations, surveys
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate

FIGURES = (
    *("rounds", "stopped_because", "bytes_sent_total", "messages_lost", "rounds_lost", "links_reopened"),
    *("local_steps", "local_iterations", "objective_worst", "objective_at_mean"),
    *("test_metric_worst", "test_metric_at_mean"),
)
MAX_ENTRIES = 12
MAX_NORMS = 4


def _simulated(name: str) -> Any:
    return simulations.run(name, simulate, SimulateOptions)


# Nothing below names a module of p2pnet.


def record() -> dict[str, Any]:
    return {
        "simulations": {name: record_simulation(name) for name in simulations.SIMULATIONS},
        "surveys": {name: surveys.record(name) for name in surveys.SURVEYS},
    }


def record_simulation(name: str) -> dict[str, Any]:
    """Some figures of the summary, and a part of the parameters."""
    simulated = _simulated(name)
    params = [agent.params for agent in simulated.network.agents]
    mean = np.mean(params, axis=0)
    places = np.linspace(0, mean.size - 1, min(mean.size, MAX_ENTRIES)).astype(int)
    return {
        **{figure: getattr(simulated.summary, figure) for figure in FIGURES},
        "n_params": mean.size,
        "mean_params": mean[places].tolist(),
        "norms": [float(np.linalg.norm(own)) for own in params[:MAX_NORMS]],
    }


def differences(found: Mapping[str, Any], stored: Mapping[str, Any], tolerance: float) -> list[str]:
    """What differs, in words: numbers that are not whole by more than `tolerance`, relative to the largest beside."""
    if found.keys() != stored.keys():
        return [f"{sorted(found)} instead of {sorted(stored)}"]
    return [
        f"{name}: {found[name]} instead of {stored[name]}"
        for name in stored
        if not _is_close(found[name], stored[name], tolerance)
    ]


def _is_close(found: Any, stored: Any, tolerance: float) -> bool:
    numbers = stored if isinstance(stored, list) else [stored]
    if not numbers or not all(isinstance(number, float) for number in numbers):
        return bool(found == stored)
    one, other = np.array(found), np.array(stored)
    return one.shape == other.shape and bool(np.abs(one - other).max() <= tolerance * np.abs(other).max())
