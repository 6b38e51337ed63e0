"""Log lines, as text for people or as JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
import time

from p2pnet.config import LogSettings
from p2pnet.errors import ConfigError

LOGGER_NAME = "p2pnet"


def open_log(settings: LogSettings, agent: str) -> logging.Logger:
    """The agent's log, to its file or to standard error."""
    try:
        handler: logging.Handler = (
            logging.FileHandler(settings.file, encoding="utf-8") if settings.file else logging.StreamHandler(sys.stderr)
        )
    except OSError as error:
        raise ConfigError(f"log.file {settings.file}: cannot be written: {error.strerror}") from error
    handler.setFormatter(_JsonFormatter(agent) if settings.format == "json" else _TextFormatter(agent))
    logger = logging.Logger(LOGGER_NAME, settings.level.upper())
    logger.addHandler(handler)
    return logger


class _TextFormatter(logging.Formatter):
    def __init__(self, agent: str) -> None:
        name = agent.replace("%", "%%")
        super().__init__(f"%(asctime)s.%(msecs)03d %(levelname)-7s {name}: %(message)s", "%Y-%m-%d %H:%M:%S")


class _JsonFormatter(logging.Formatter):
    def __init__(self, agent: str) -> None:
        super().__init__()
        self._agent = agent

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z"
        entry = {
            "time": moment,
            "level": record.levelname.lower(),
            "agent": self._agent,
            "message": record.getMessage(),
        }
        return json.dumps(entry, ensure_ascii=False)
