"""Reports: what agents tell each other of themselves for people to see; nothing is ever decided by them.

kind  message  says
96    Reports  news of agents, one's own and what has been heard of others
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.codec import MessageSet, read_count, read_round, read_text
from p2pnet.protocol.core.reports import MARK_LENGTH, MAX_LINKS, AgentReport
from p2pnet.protocol.core.types import Message

REPORTS: Final = "reports"
"""The capability of reading Reports."""
MAX_REPORTS: Final = 32
_MAX_PEER_LENGTH, _MAX_NAME_LENGTH, _MAX_WORD_LENGTH = 64, 64, 32


@dataclass(frozen=True, slots=True)
class Reports(Message):
    reports: tuple[AgentReport, ...]


KINDS: Mapping[int, type[Reports]] = {96: Reports}


def _plain(value: object) -> object:
    if not isinstance(value, tuple):
        return value
    return [[getattr(report, name) for name in AgentReport.__slots__] for report in value]


def _read_number(value: object) -> float | None:
    if value is not None and (not isinstance(value, float) or not math.isfinite(value) or value < 0):
        raise ProtocolError("neither nil nor a finite number of at least zero")
    return value


def _read_metric(value: object) -> float | None:
    """An R² may be below zero."""
    if value is not None and (not isinstance(value, float) or not math.isfinite(value)):
        raise ProtocolError("neither nil nor a finite number")
    return value


def _read_links(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_LINKS:
        raise ProtocolError(f"not a list of at most {MAX_LINKS} links")
    return tuple(read_text(mark, MARK_LENGTH) for mark in value)


def _read_report(value: object) -> AgentReport:
    if not isinstance(value, list) or len(value) != len(AgentReport.__slots__):
        raise ProtocolError(f"not a report of {len(AgentReport.__slots__)} parts")
    peer, name, software, incarnation, sequence, stage, round_, *numbers = value
    residual, disagreement, n_neighbors, bytes_sent, objective, test_metric, links = numbers
    return AgentReport(
        read_text(peer, _MAX_PEER_LENGTH),
        read_text(name, _MAX_NAME_LENGTH),
        read_text(software, _MAX_WORD_LENGTH),
        read_count(incarnation),
        read_count(sequence),
        read_text(stage, _MAX_WORD_LENGTH),
        read_round(round_),
        _read_number(residual),
        _read_number(disagreement),
        read_count(n_neighbors),
        read_count(bytes_sent),
        _read_number(objective),
        _read_metric(test_metric),
        _read_links(links),
    )


def _read_reports(value: object) -> tuple[AgentReport, ...]:
    if not isinstance(value, list) or len(value) > MAX_REPORTS:
        raise ProtocolError(f"not a list of at most {MAX_REPORTS} reports")
    return tuple(_read_report(report) for report in value)


REPORT_MESSAGES = MessageSet(kinds=KINDS, readers={"reports": _read_reports}, arrays={}, plain=_plain)
