"""agent.toml: `settings` says what can be set, `reading` and `writing` go from text to settings and back."""

from p2pnet.config.reading import read_settings
from p2pnet.config.settings import (
    ActivationName,
    AgentSettings,
    AlgorithmSettings,
    DataSettings,
    LogSettings,
    LossName,
    ModelSettings,
    NeighborSettings,
    NetworkSettings,
    ObjectiveSettings,
    SecuritySettings,
    SeedSettings,
    Settings,
    SolverName,
    Task,
)
from p2pnet.config.terms import PenaltyTerm, StepRuleTerm, parse_penalty, parse_step_rule
from p2pnet.config.writing import write_config

__all__ = [
    "ActivationName",
    "AgentSettings",
    "AlgorithmSettings",
    "DataSettings",
    "LogSettings",
    "LossName",
    "ModelSettings",
    "NeighborSettings",
    "NetworkSettings",
    "ObjectiveSettings",
    "PenaltyTerm",
    "SecuritySettings",
    "SeedSettings",
    "Settings",
    "SolverName",
    "StepRuleTerm",
    "Task",
    "parse_penalty",
    "parse_step_rule",
    "read_settings",
    "write_config",
]
