"""The options of the demo."""

from dataclasses import dataclass
from typing import final

from p2pnet.catalogue.readers import suffixes
from p2pnet.data.datasets import NAMED_DATASETS
from p2pnet.experiments.options import ExperimentOptions, require, require_term
from p2pnet.experiments.topologies.by_name import parse_fixed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions(ExperimentOptions):
    """The demo's options, checked; ConfigError names the first that is wrong.

    The graph is fixed over the rounds.
    """

    def __post_init__(self) -> None:
        require(self.agents >= 2, "--agents", self.agents, "must be at least 2")
        require_term("--topology", self.topology, parse_fixed)
        require(
            self.is_of_file or self.data in NAMED_DATASETS,
            "--data",
            self.data,
            f"must be one of {', '.join(NAMED_DATASETS)}, or a file that ends in {suffixes()}",
        )
        self.check_training()
