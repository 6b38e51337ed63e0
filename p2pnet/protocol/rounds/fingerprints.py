"""Fingerprints: what two agents must have in common to train together, and what to do where it differs."""

from __future__ import annotations

from collections.abc import Mapping

from p2pnet.protocol.core.effects import PutOff, Send
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.training import MAX_TEXT_LENGTH, Hello, Refuse

STAGE_FIELD = "stage"
"""The field that tells a Hello of the statistics stage from a Hello of the training."""

SURVEY_FIELD = "survey"
"""The field that names the run of averaging by which samples are scaled."""

SURVEYED_APART = (
    "survey: made apart, so that the two parts scale differently; stop all agents of one part, then start them again"
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
"""What to see to where a field differs."""


def refusal(peer: PeerId, fingerprint: Mapping[str, str], hello: Hello) -> list[Send | PutOff]:
    """Refuse to the peer, and PutOff here, for the first field in which the fingerprints differ; nothing where equal.

    A run of averaging that differs comes first, since classes and model follow from it.
    """
    for name in sorted({*fingerprint, *hello.fingerprint}, key=lambda name: (name != SURVEY_FIELD, name)):
        ours, theirs = fingerprint.get(name, "absent"), hello.fingerprint.get(name, "absent")
        if ours != theirs:
            # The refused peer reads it as its own words.
            return [
                Send(peer, Refuse(_difference(name, ours=theirs, theirs=ours)[:MAX_TEXT_LENGTH])),
                PutOff(peer, hello.name, _difference(name, ours, theirs), is_ours=True),
            ]
    return []


def _difference(name: str, ours: str, theirs: str) -> str:
    if name == SURVEY_FIELD:
        return SURVEYED_APART
    same = _SAME_AT_BOTH.get(name, name)
    return f"{name}: theirs is {theirs}, ours is {ours}; give both the same {same}"
