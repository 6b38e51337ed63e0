"""What agents say to each other is on the wire what it always was, byte for byte."""

from typing import Any

import pytest

from golden import frames, store

STORED: dict[str, list[dict[str, Any]]] = store.load("frames")
MESSAGES = [
    pytest.param(kind, message["fields"], message["frames"], id=f"{kind}-{place}")
    for kind, messages in STORED.items()
    for place, message in enumerate(messages)
]


def test_every_kind_of_message_is_there_more_than_once_if_it_has_fields() -> None:
    assert set(STORED) == set(frames.LANGUAGE_OF)
    assert {int(kind) for kind in STORED if kind.isdigit()} == frames.KINDS_IN_USE
    for messages in STORED.values():
        assert len(messages) >= 2 or messages[0]["fields"] == []


@pytest.mark.parametrize(("kind", "values", "sent"), MESSAGES)
def test_a_message_is_these_bytes_and_no_others(kind: str, values: list[Any], sent: list[str]) -> None:
    message = frames.message_of(kind, values)
    assert store.as_text(frames.values_of(message)) == store.as_text(values)
    assert frames.encode(kind, message) == sent


@pytest.mark.parametrize(("kind", "values", "sent"), MESSAGES)
def test_the_bytes_are_read_as_this_message_and_sent_again_alike(kind: str, values: list[Any], sent: list[str]) -> None:
    message = frames.decode(kind, sent)
    assert type(message) is frames.LANGUAGE_OF[kind].classes[kind]
    assert store.as_text(frames.values_of(message)) == store.as_text(values)
    assert frames.encode(kind, message) == sent
