"""Settings of agents, from values by `section.key`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from p2pnet.config import Settings
from p2pnet.errors import ConfigError


def make_settings(name: str, values: Mapping[str, Any]) -> Settings:
    """The settings of the agent called `name`; None stands for the default. ConfigError for what is wrong."""
    sections: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, _, setting = key.partition(".")
        if value is not None:
            sections.setdefault(section, {})[setting] = value
    try:
        return Settings.model_validate(sections)
    except ValidationError as error:
        raise ConfigError(f"settings of {name}: {error}") from error
