"""Of which library a network is, told without any library."""

from typing import Any

import pytest

from p2pnet.catalogue.frameworks import FRAMEWORKS, framework_of


def network_of(package: str) -> Any:
    """An object of a class that derives from one of a library's."""
    base = type("Module", (), {"__module__": f"{package}.nn.modules"})
    return type("Net", (base,), {"__module__": "mine"})()


def init(key: Any, x: Any) -> Any:
    return key, x


@pytest.mark.parametrize(
    ("network", "name"),
    [(network_of("torch"), "torch"), (network_of("flax"), "jax"), ((init, init), "jax")],
    ids=["torch", "flax", "pair"],
)
def test_a_network_is_told_by_the_package_of_its_classes(network: Any, name: str) -> None:
    framework = framework_of(network)
    assert framework is not None
    assert framework.name == name
    assert framework in FRAMEWORKS


@pytest.mark.parametrize("network", [object(), (1, 2), (init, init, init), network_of("torchlight")])
def test_anything_else_is_of_no_library(network: Any) -> None:
    assert framework_of(network) is None
