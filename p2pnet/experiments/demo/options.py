"""The options of the demo."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from p2pnet.agent.options import problem_settings, settings_of_flags
from p2pnet.catalogue.readers import suffixes
from p2pnet.data.datasets import is_named, named_datasets
from p2pnet.experiments.options import ExperimentOptions, require, require_term
from p2pnet.experiments.topologies.by_name import parse_fixed

_OPTION_OF: Final = {
    "network.round_pace_s": "--pace",
    "model.hidden": "--hidden",
    "model.factory": "--factory",
    "model.arguments": "--argument",
    "model.seed": "--seed",
    "objective.penalty": "--penalty",
    "algorithm.rounds": "--rounds",
    "data.target": "--target",
    "data.task": "--task",
}
_ITS_OWN: Final = frozenset(
    {
        *("agent.name", "agent.state_dir", "network.bind", "network.neighbors", "network.max_diameter"),
        *("security.secret_key", "data.source", "data.test_source", "data.classes", "data.standardize", "log.file"),
    }
)
"""Settings that are another for each agent, or that samples and graph decide."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions(ExperimentOptions):
    """The demo's options, checked; ConfigError names the first that is wrong.

    The graph is fixed over the rounds.
    """

    is_float32: bool = False
    curvature_samples: int | None = None
    is_page: bool = False
    """whether the page of the first agent is served, and stays until Ctrl-C"""
    flags: tuple[str, ...] = ()
    """settings of all agents, `section.key=value`"""

    def __post_init__(self) -> None:
        require(self.agents >= 2, "--agents", self.agents, "must be at least 2")
        require_term("--topology", self.topology, parse_fixed)
        require(
            self.is_of_file or is_named(self.data),
            "--data",
            self.data,
            f"must be one of {named_datasets()}, or a file that ends in {suffixes()}",
        )
        self.check_training()
        for key in settings_of_flags(self.flags):
            require(key not in _ITS_OWN, "--set", key, "the demo sets it for each agent")
            require(key not in _OPTION_OF, "--set", key, f"say it by {_OPTION_OF.get(key)}")
        n_samples = 1 if self.curvature_samples is None else self.curvature_samples
        require(n_samples >= 1, "--curvature-samples", n_samples, "must be at least 1")

    def settings(self) -> Mapping[str, Any]:
        """Settings of all agents by `section.key` that no other option decides."""
        single = {"model.precision": "float32", "network.precision": "float32"} if self.is_float32 else {}
        curvature = {} if self.curvature_samples is None else {"algorithm.curvature_samples": self.curvature_samples}
        own = {} if self.factory is None else {"model.factory": self.factory, "model.arguments": self.arguments}
        return {**single, **curvature, **own, **settings_of_flags(self.flags)}

    def problem(self) -> Mapping[str, Any]:
        """What these settings say of the problem, by the names of the fields of `ProblemOptions`."""
        return problem_settings(self.settings())
