"""What a person can ask of the demo."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from p2pnet.data.datasets import NAMED_DATASETS
from p2pnet.experiments.options import TrainingOptions, require

TOPOLOGIES = ("ring", "path", "star", "grid", "full", "random")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions(TrainingOptions):
    """The demo's options, checked; ConfigError names the first that is wrong.

    A graph is one of TOPOLOGIES, or random:P with P the probability of each edge.
    """

    def __post_init__(self) -> None:
        require(self.agents >= 2, "--agents", self.agents, "must be at least 2")
        require(_is_topology(self.topology), "--topology", self.topology, f"must be {_one_of(TOPOLOGIES)}, or random:P")
        require(
            self.is_of_file or self.data in NAMED_DATASETS,
            "--data",
            self.data,
            f"must be {_one_of(NAMED_DATASETS)}, or a file that ends in .csv or .npz",
        )
        self.check_training()


def _is_topology(text: str) -> bool:
    name, colon, probability = text.partition(":")
    if not colon:
        return name in TOPOLOGIES
    try:
        return name == "random" and 0 < float(probability) <= 1
    except ValueError:
        return False


def _one_of(names: Iterable[str]) -> str:
    return f"one of {', '.join(names)}"
