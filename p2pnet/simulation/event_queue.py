"""The event queue of a discrete-event simulation."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from typing import Generic, TypeVar, final

Key = TypeVar("Key")
Item = TypeVar("Item")


@final
class EventQueue(Generic[Key, Item]):
    """A queue ordered by time, then by key in the order of the keys' first items, then by insertion.

    All items of a key come before those of the next key: with thousands of agents as keys, each agent is fetched into
    the processor's cache once for many events.
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._of: dict[float, OrderedDict[Key, deque[Item]]] = {}

    def add(self, time: float, key: Key, item: Item) -> None:
        of_time = self._of.get(time)
        if of_time is None:
            of_time = self._of[time] = OrderedDict()
            heapq.heappush(self._times, time)
        items = of_time.get(key)
        if items is None:
            of_time[key] = deque((item,))
        else:
            items.append(item)

    def next_time(self) -> float | None:
        """The time of the next item; None where the queue is empty."""
        while self._times:
            of_time = self._of[self._times[0]]
            while of_time:
                key = next(iter(of_time))
                if of_time[key]:
                    return self._times[0]
                # Only now: what the last item of a key led to for the same key has been added behind it meanwhile.
                del of_time[key]
            del self._of[heapq.heappop(self._times)]
        return None

    def take(self) -> tuple[Key, Item]:
        """Remove and return the next item; `next_time()` must be called before each call."""
        key, items = next(iter(self._of[self._times[0]].items()))
        return key, items.popleft()
