"""Fingerprints: the comparison of what two agents must have in common to train together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from p2pnet.protocol.core.codec import SPOKEN_VERSIONS
from p2pnet.protocol.core.effects import PutOff, Send
from p2pnet.protocol.core.types import PeerId, VersionRange
from p2pnet.protocol.messages.training import MAX_TEXT_LENGTH, Hello, Refuse

STAGE_FIELD = "stage"
"""The field for the stage: statistics or training."""

SURVEY_FIELD = "survey"
"""The field for the id of the averaging run by whose statistics samples are scaled."""

AVERAGED_APART = (
    "survey: feature statistics were found apart, so that the two parts scale differently; "
    "stop all agents of one part, then start them again"
)

COLUMNS_FIELD = "columns"
"""The field for the names of the columns; long lists go on in `columns 2` and so on."""

MAX_COLUMN_FIELDS = 12
SEPARATOR = "; "

_CAUSES = ("task", "target", COLUMNS_FIELD)
"""Fields from which others follow, in the order in which they are compared."""

_SAME_AT_BOTH: Mapping[str, str] = {
    "class weights": "objective.class_weights",
    "classes": "data.classes",
    "columns": "data.features, data.categorical and data.dates",
    "exchanges": "algorithm.exchanges",
    "gradient order": "algorithm.gradient_order",
    "levels": "data.categorical",
    "loss": "objective.loss",
    "missing": "data.missing",
    "model": "settings in section [model]",
    "patience": "algorithm.patience",
    "penalty": "objective.penalty",
    "scaling": "data.standardize",
    "target": "data.target, and its column the same name",
    "task": "data.task",
    "split": "data.split and data.seed",
    "network": "network, by an invitation to it",
    "schedule": "network.schedule, and all the same neighbors",
    "service": "service.keep_running and service.rescale_at",
    "weighting": "algorithm.weighting",
}
"""What the user should check where a field differs."""


def refusal(peer: PeerId, fingerprint: Mapping[str, str], hello: Hello) -> list[Send | PutOff]:
    """Compare versions and fingerprints; return Refuse and PutOff for the first difference, nothing where the two
    agree.

    A run of averaging that differs comes first, since classes and model follow from it; then task, target and columns.
    """
    if SPOKEN_VERSIONS.common(hello.versions) is None:
        return _refused(
            peer, hello.name, _versions(SPOKEN_VERSIONS, hello.versions), _versions(hello.versions, SPOKEN_VERSIONS)
        )
    for name in sorted({*fingerprint, *hello.fingerprint}, key=_order_of):
        ours, theirs = fingerprint.get(name, "absent"), hello.fingerprint.get(name, "absent")
        if ours != theirs and name.startswith(COLUMNS_FIELD):
            here, there = _columns(fingerprint), _columns(hello.fingerprint)
            return _refused(peer, hello.name, _column_difference(here, there), _column_difference(there, here))
        if ours != theirs:
            return _refused(peer, hello.name, _difference(name, ours, theirs), _difference(name, theirs, ours))
    return []


def column_fields(columns: Sequence[str]) -> dict[str, str]:
    """The fields that name the columns in their order, each with what it is taken for; texts of bounded length.

    Of very many columns the last ones are only told by a digest.
    """
    fields = [""]
    for place, column in enumerate(columns):
        longer = fields[-1] + (SEPARATOR if fields[-1] else "") + column
        if len(longer.encode()) <= MAX_TEXT_LENGTH:
            fields[-1] = longer
        elif len(fields) == MAX_COLUMN_FIELDS - 1 or len(column.encode()) > MAX_TEXT_LENGTH:
            rest = "\0".join(columns[place:])
            fields.append(f"{len(columns) - place} more ({hashlib.sha256(rest.encode()).hexdigest()[:16]})")
            break
        else:
            fields.append(column)
    return {COLUMNS_FIELD if k == 0 else f"{COLUMNS_FIELD} {k + 1}": text for k, text in enumerate(fields)}


def _order_of(name: str) -> tuple[int, str, int, str]:
    """Where a field stands in the comparison."""
    if name == SURVEY_FIELD:
        return 0, "", 0, name
    kind = name.partition(" ")[0]
    if kind in _CAUSES:
        return 1, "", _CAUSES.index(kind), name
    return 2, name, 0, name


def _columns(fingerprint: Mapping[str, str]) -> list[str]:
    fields = [name for name in fingerprint if name.startswith(COLUMNS_FIELD)]
    fields.sort(key=lambda name: (len(name), name))
    return [column for name in fields for column in fingerprint[name].split(SEPARATOR)]


def _column_difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    lacking = [column for column in ours if column not in theirs]
    more = [column for column in theirs if column not in ours]
    if lacking or more:
        parts = [f"theirs lack {_some(lacking)}" if lacking else "", f"ours lack {_some(more)}" if more else ""]
        what = ", ".join(part for part in parts if part)
        return f"columns: {what}; give both the same columns, by data.ignore, or by {_SAME_AT_BOTH[COLUMNS_FIELD]}"
    return "columns: they are the same in another order; give both the same data.features, or none"


def _some(columns: Sequence[str]) -> str:
    """The first few, each cut to what a message can hold."""
    shown = ", ".join(repr(column[:60]) for column in columns[:3])
    return shown + (f" and {len(columns) - 3} more" if len(columns) > 3 else "")


def _refused(peer: PeerId, name: str, reason_here: str, reason_there: str) -> list[Send | PutOff]:
    """The effects of a refusal; the reason is worded for each side."""
    return [Send(peer, Refuse(reason_there[:MAX_TEXT_LENGTH])), PutOff(peer, name, reason_here, is_ours=True)]


def _versions(ours: VersionRange, theirs: VersionRange) -> str:
    return (
        f"protocol version: theirs is {theirs}, ours is {ours}; install the same p2pnet on both, or the release before"
    )


def _difference(name: str, ours: str, theirs: str) -> str:
    if name == SURVEY_FIELD:
        return AVERAGED_APART
    same = _SAME_AT_BOTH.get(name, name)
    return f"{name}: theirs is {theirs}, ours is {ours}; give both the same {same}"
