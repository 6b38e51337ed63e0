"""Fingerprints: the comparison of what two agents must have in common to train together."""

from __future__ import annotations

from collections.abc import Mapping

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

_SAME_AT_BOTH: Mapping[str, str] = {
    "classes": "data.classes",
    "data": "kind of target, and feature columns of the same names in the same order",
    "exchanges": "algorithm.exchanges",
    "gradient order": "algorithm.gradient_order",
    "loss": "objective.loss",
    "model": "settings in section [model]",
    "penalty": "objective.penalty",
    "scaling": "data.standardize",
    "schedule": "network.schedule, and all the same neighbors",
    "weighting": "algorithm.weighting",
}
"""What the user should check where a field differs."""


def refusal(peer: PeerId, fingerprint: Mapping[str, str], hello: Hello) -> list[Send | PutOff]:
    """Compare versions and fingerprints; return Refuse and PutOff for the first difference, nothing where the two
    agree.

    A run of averaging that differs comes first, since classes and model follow from it.
    """
    if SPOKEN_VERSIONS.common(hello.versions) is None:
        return _refused(
            peer, hello.name, _versions(SPOKEN_VERSIONS, hello.versions), _versions(hello.versions, SPOKEN_VERSIONS)
        )
    for name in sorted({*fingerprint, *hello.fingerprint}, key=lambda name: (name != SURVEY_FIELD, name)):
        ours, theirs = fingerprint.get(name, "absent"), hello.fingerprint.get(name, "absent")
        if ours != theirs:
            return _refused(peer, hello.name, _difference(name, ours, theirs), _difference(name, theirs, ours))
    return []


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
