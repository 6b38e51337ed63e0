"""What is wrong with a file, all of it in one list, each with the setting that would solve it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from p2pnet.errors import DataError, DataProblemsError

MAX_LINES_NAMED = 3


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that keeps rows from being trained on, or that a person should know of them."""

    text: str
    """where it is, what it is, and what to do"""
    settings: Mapping[str, object] = field(default_factory=dict)
    """what would solve it in section [data]; a list adds to the list that is there"""
    column: str | None = None
    """the column without which there would be no problem"""


def as_error(source: object, flaws: Sequence[Flaw]) -> DataError:
    """The error that tells all of them."""
    texts = list(dict.fromkeys(problem.text for problem in flaws))
    if len(texts) == 1:
        is_place = texts[0].startswith(("column ", "line "))
        return DataError(f"{source}{', ' if is_place else ': '}{texts[0]}")
    return DataProblemsError(f"{source}: {len(texts)} problems", texts)


def named(places: Sequence[str], n_places: int) -> str:
    """The first few places as text, as in `4 rows (lines 4, 9, 17, …)`."""
    kinds = {place.rpartition(" ")[0] for place in places}
    shown = ", ".join(places[:MAX_LINES_NAMED])
    if len(kinds) == 1 and len(places) > 1:
        shown = f"{kinds.pop()}s " + ", ".join(place.rpartition(" ")[2] for place in places[:MAX_LINES_NAMED])
    more = ", …" if n_places > MAX_LINES_NAMED else ""
    return f"{n_places} row{'' if n_places == 1 else 's'} ({shown}{more})"
