"""Large messages that wait to be written to the network.

A slow line takes long for them, and whoever waits for an answer sends them again before they have left: in the same
queue the second copy would only take as long once more.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, TypeAlias, final

import numpy as np
import zmq

from p2pnet.agent.transport.base import Frame

_Arrays: TypeAlias = tuple["weakref.ref[np.ndarray[Any, Any]]", ...]


@final
class Outgoing:
    """The messages with arrays that one connection has not passed on yet; it keeps none of them alive."""

    def __init__(self) -> None:
        self._waiting: list[tuple[_Arrays, zmq.MessageTracker]] = []

    def note(self, frames: Sequence[Frame], tracker: zmq.MessageTracker) -> None:
        """Take note of a message that was queued."""
        self._waiting = [each for each in self._waiting if not each[1].done]
        if arrays := _arrays(frames):
            self._waiting.append((tuple(weakref.ref(array) for array in arrays), tracker))

    def has(self, frames: Sequence[Frame]) -> bool:
        """Whether a message of these very arrays waits."""
        arrays = _arrays(frames) if self._waiting else []
        return bool(arrays) and any(
            not tracker.done and _are_same(references, arrays) for references, tracker in self._waiting
        )


def _arrays(frames: Sequence[Frame]) -> list[np.ndarray[Any, Any]]:
    owners = (memoryview(frame).obj for frame in frames)
    return [owner for owner in owners if isinstance(owner, np.ndarray)]


def _are_same(references: _Arrays, arrays: Sequence[np.ndarray[Any, Any]]) -> bool:
    pairs = zip(references, arrays, strict=False)
    return len(references) == len(arrays) and all(reference() is array for reference, array in pairs)
