"""agent.toml: `settings` says what can be set, `reading` and `writing` go from text to settings and back."""

from p2pnet.catalogue.losses import Task
from p2pnet.config.choices import (
    ActivationName,
    LossChoice,
    LossName,
    SolverChoice,
    SurrogateName,
)
from p2pnet.config.network import AgentSettings, NeighborSettings, NetworkSettings, SecuritySettings, SeedSettings
from p2pnet.config.reading import read_settings, settings_of, values_of_file, values_of_flags
from p2pnet.config.service import ServiceSettings
from p2pnet.config.settings import LogSettings, Settings
from p2pnet.config.training import AlgorithmSettings, DataSettings, ModelSettings, ObjectiveSettings
from p2pnet.config.writing import write_config

__all__ = [
    "ActivationName",
    "AgentSettings",
    "AlgorithmSettings",
    "DataSettings",
    "LogSettings",
    "LossChoice",
    "LossName",
    "ModelSettings",
    "NeighborSettings",
    "NetworkSettings",
    "ObjectiveSettings",
    "SecuritySettings",
    "SeedSettings",
    "ServiceSettings",
    "Settings",
    "SolverChoice",
    "SurrogateName",
    "Task",
    "read_settings",
    "settings_of",
    "values_of_file",
    "values_of_flags",
    "write_config",
]
