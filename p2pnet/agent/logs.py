"""Log lines, as text for people or as JSON for machines."""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from p2pnet.errors import ConfigError

LOGGER_NAME = "p2pnet"
LINES_AT_ONCE = 50
LINES_PER_SECOND = 1.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What is logged, where, and in which form."""

    agent: str
    """the name that entries bear"""
    level: Literal["debug", "info", "warning", "error"]
    file: Path | None
    """None: standard error"""
    format: Literal["text", "json"]


def open_log(options: LogOptions) -> logging.Logger:
    """Open the agent's log, to its file or to standard error."""
    logger = _Log(LOGGER_NAME, options.level.upper())
    logger.addHandler(open_handler(options))
    return logger


def open_handler(options: LogOptions) -> logging.Handler:
    """Open the file of a log, or standard error; ConfigError where it cannot be written."""
    try:
        handler: logging.Handler = (
            _LogFile(options.file, encoding="utf-8") if options.file else logging.StreamHandler(sys.stderr)
        )
    except OSError as error:
        raise ConfigError(f"log.file {options.file}: cannot be written: {error.strerror}") from error
    handler.setFormatter(_JsonFormatter(options.agent) if options.format == "json" else _TextFormatter(options.agent))
    return handler


def check_log(options: LogOptions) -> None:
    """Check that the log can be opened; ConfigError where `open_log` would raise it. Leaves nothing behind."""
    if options.file is None:
        return
    is_there = options.file.exists()
    for handler in open_log(options).handlers:
        handler.close()
    if not is_there:
        options.file.unlink()


@dataclass(slots=True)
class _Allowance:
    lines: float
    counted_at: float
    n_withheld: int = 0


@final
class LineBudget:
    """A token bucket per peer that limits the log lines that a peer can cause: some at once, then one a second.

    What others send decides how often such lines come; without a limit they could fill the disk.
    """

    def __init__(self) -> None:
        self._allowances: dict[str, _Allowance] = {}

    def admit(self, peer: str, now: float) -> int | None:
        """Take one line from the budget; None if the line is withheld, else the number of lines withheld since the
        last.
        """
        allowance = self._allowances.setdefault(peer, _Allowance(LINES_AT_ONCE, now))
        gained = (now - allowance.counted_at) * LINES_PER_SECOND
        allowance.lines, allowance.counted_at = min(allowance.lines + gained, LINES_AT_ONCE), now
        if allowance.lines < 1:
            allowance.n_withheld += 1
            return None
        allowance.lines -= 1
        n_withheld, allowance.n_withheld = allowance.n_withheld, 0
        return n_withheld


@final
class _Log(logging.Logger):
    """A logger outside of the tree of loggers, whose level may change: the tree's own keep in mind what they have been
    asked for, and only loggers in it are told to forget that.
    """

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  (logging's name)
        return level >= self.level


@final
class _LogFile(logging.handlers.WatchedFileHandler):
    """A log file that drops lines while it cannot be written, and reports that once. A file that was renamed, as by
    logrotate, or removed is opened anew.
    """

    _is_told = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # it cannot be opened anew
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._is_told:
            self._is_told = True
            words = f"log.file {self.baseFilename}: cannot be written: {error.strerror}; lines are missing there"
            sys.stderr.write(f"p2pnet: {words} until there is room\n")


class _TextFormatter(logging.Formatter):
    def __init__(self, agent: str) -> None:
        name = _on_one_line(agent).replace("%", "%%")
        super().__init__(f"%(asctime)s.%(msecs)03d %(levelname)-7s {name}: %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        record.message = _on_one_line(record.message)
        return super().formatMessage(record)


def _on_one_line(text: str) -> str:
    """Escape control characters: names come from other agents and must not forge lines."""
    if text.isprintable():
        return text
    return "".join(part if part.isprintable() else part.encode("unicode_escape").decode("ascii") for part in text)


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
