"""A series that grows for ever, in bounded memory."""

from __future__ import annotations

from typing import Generic, TypeVar, final

Item = TypeVar("Item")


@final
class ThinnedSeries(Generic[Item]):
    """Keeps each s-th item and the latest; s doubles whenever more than `capacity` are kept, so that they stay even.

    Items are numbered from 1, in the order in which they came.
    """

    def __init__(self, capacity: int) -> None:
        """`capacity` is at least 2."""
        self._capacity = capacity
        self._kept: list[tuple[int, Item]] = []
        self._stride = 1
        self._latest: tuple[int, Item] | None = None
        self._n_items = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, item: Item) -> None:
        self._n_items += 1
        self._latest = (self._n_items, item)
        if (self._n_items - 1) % self._stride:
            return
        self._kept.append(self._latest)
        if len(self._kept) > self._capacity:
            self._kept = self._kept[::2]
            self._stride *= 2

    def after(self, number: int) -> list[tuple[int, Item]]:
        """The items behind the one of this number that are kept, the latest among them, each with its number."""
        found = [entry for entry in self._kept if entry[0] > number]
        if self._latest is not None and self._latest[0] > max(number, found[-1][0] if found else 0):
            found.append(self._latest)
        return found
