"""The settings of one agent: each one once, with its default, its unit and one sentence.

Everything else that lists settings (`agent.toml.example`, error messages) is made from these models.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from p2pnet.config.network import AgentSettings, NetworkSettings, PrivacySettings, SecuritySettings
from p2pnet.config.page import PageSettings
from p2pnet.config.section import Section
from p2pnet.config.service import ServiceSettings
from p2pnet.config.training import AlgorithmSettings, DataSettings, ModelSettings, ObjectiveSettings


class LogSettings(Section):
    """What is logged, and where."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    file: Path | None = Field(
        default=None, description="File to append to; default: standard error.", examples=["agent.log"]
    )
    format: Literal["text", "json"] = Field(default="text", description="One line of text or one JSON object an entry.")


class Settings(Section):
    """All settings of an agent, one section of agent.toml each."""

    agent: AgentSettings = Field(default_factory=AgentSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    data: DataSettings
    model: ModelSettings = Field(default_factory=ModelSettings)
    objective: ObjectiveSettings = Field(default_factory=ObjectiveSettings)
    algorithm: AlgorithmSettings = Field(default_factory=AlgorithmSettings)
    service: ServiceSettings = Field(default_factory=ServiceSettings)
    page: PageSettings = Field(default_factory=PageSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    def relative_to(self, directory: Path) -> "Settings":
        """Resolve all relative paths against `directory`."""
        sections = {}
        for name in type(self).model_fields:
            section = getattr(self, name)
            paths = {key: directory / value for key, value in section if isinstance(value, Path)}
            sections[name] = section.model_copy(update=paths)
        return self.model_copy(update=sections)
