"""The rule of two: no agent's word alone ends the training of others, moves their rounds, or hands them a state.

A word counts once two neighbors have said it. What a word of numbers is, two have said as far as the smaller of them:
of two rounds that are named, both neighbors have got to the earlier one. Where there is no second neighbor to ask, the
caller decides by what it knows itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar, final

from p2pnet.protocol.core.types import PeerId

Word = TypeVar("Word")
Number = TypeVar("Number", int, float)


@final
class Corroboration(Generic[Word]):
    """What each neighbor has said last of one matter."""

    def __init__(self) -> None:
        self._words: dict[PeerId, Word] = {}

    @property
    def words(self) -> Mapping[PeerId, Word]:
        return MappingProxyType(self._words)

    def hear(self, peer: PeerId, word: Word) -> None:
        """Record what a neighbor says, in place of what it has said before."""
        self._words[peer] = word

    def keep(self, peers: Collection[PeerId]) -> None:
        """Forget the words of all other peers."""
        self._words = {peer: word for peer, word in self._words.items() if peer in peers}

    def seconded(self, is_same: Callable[[Word, Word], bool]) -> Word | None:
        """A word that another neighbor has said too; None where there is none."""
        words = list(self._words.values())
        for place, word in enumerate(words):
            if any(is_same(word, other) for other in words[place + 1 :]):
                return word
        return None


def reached_by_two(numbers: Iterable[Number]) -> Number | None:
    """The second largest: two have got as far; None where there are fewer than two."""
    return _second(sorted(numbers, reverse=True))


def left_by_two(numbers: Iterable[Number]) -> Number | None:
    """The second smallest; None where there are fewer than two."""
    return _second(sorted(numbers))


def _second(numbers: list[Number]) -> Number | None:
    return numbers[1] if len(numbers) > 1 else None
