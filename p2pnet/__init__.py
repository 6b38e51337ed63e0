"""Train neural networks over many machines, without a server, while the data stays where it is."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2pnet.interop.agent import Agent
    from p2pnet.interop.simulation import simulate
    from p2pnet.interop.sklearn import P2PClassifier, P2PRegressor
    from p2pnet.training.trained_model import load

__all__ = ["Agent", "P2PClassifier", "P2PRegressor", "__version__", "load", "simulate"]

__version__ = "0.2.0"

_PLACES = {
    "Agent": "p2pnet.interop.agent",
    "P2PClassifier": "p2pnet.interop.sklearn",
    "P2PRegressor": "p2pnet.interop.sklearn",
    "load": "p2pnet.training.trained_model",
    "simulate": "p2pnet.interop.simulation",
}
"""What is imported when it is asked for, so that `import p2pnet` takes no time."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'p2pnet' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
