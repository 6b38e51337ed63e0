"""What the text of one cell means: a number, a date, a label, or nothing.

Each is a function of the text alone, so that two machines that hold other rows read a cell alike.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Final

MISSING: Final = frozenset({"", "na", "n/a", "#n/a", "#na", "<na>", "nan", "null", "?"})
"""Texts, in lower case, of a value that is not there."""

TRUTH_VALUES: Final = {
    **dict.fromkeys(("true", "yes", "on", "ja", "wahr", "oui", "vrai", "sí", "sim"), 1.0),
    **dict.fromkeys(("false", "no", "off", "nein", "falsch", "non", "faux", "não"), 0.0),
}
"""By text in lower case. Single letters are none: F beside M is no falsehood."""

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WITH_COMMA: Final = re.compile(r"[+-]?[0-9]+(?:,[0-9]+)+")
_PLAIN_DECIMAL: Final = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.([0-9]+))?")
_DAY_FIRST: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(.*)")
_YEAR_FIRST: Final = re.compile(r"[0-9]{4}([-/])[0-9]{2}\1[0-9]{2}(?:[T ].*)?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def is_missing(text: str) -> bool:
    """Whether the text says that there is no value."""
    return text.strip().casefold() in MISSING


def plain_number(text: str, decimal: str = ".") -> float | None:
    """The finite number that the text is: digits with a sign, one decimal mark and an exponent if they are there."""
    text = text.strip()
    if decimal != ".":
        text = text.replace(".", "!").replace(decimal, ".")
    if _NUMBER.fullmatch(text) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def has_comma(text: str) -> bool:
    """Whether the text is digits with a comma among them: before decimals, or between thousands."""
    return _WITH_COMMA.fullmatch(text.strip()) is not None


def number_of(text: str, decimal: str = ".") -> float | None:
    """The plain number that the text is, or 1 and 0 for truth values such as `yes` and `no`; None for anything else."""
    number = plain_number(text, decimal)
    return TRUTH_VALUES.get(unicodedata.normalize("NFC", text.strip()).casefold()) if number is None else number


def label_text(text: str) -> str:
    """The label, or level of a category, that the text is.

    It is trimmed and composed (NFC). A truth value is in lower case. A decimal number without leading zeros loses the
    zeros behind its decimal point: 3.0 is 3, while 03 is another label; no number is ever rounded.
    """
    text = unicodedata.normalize("NFC", text.strip())
    folded = text.casefold()
    if folded in TRUTH_VALUES:
        return folded
    match = _PLAIN_DECIMAL.fullmatch(text)
    if match is None:
        return text
    whole, places = match[1], (match[2] or "").rstrip("0")
    if places:
        return f"{whole}.{places}"
    return "0" if whole == "-0" else whole


def text_of_number(value: float) -> str:
    """The label of a number that was never text."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 2**53 else label_text(repr(value))


def days_of(text: str) -> float | None:
    """The days from the beginning of 1970 to the moment that the text is; None where it is no date.

    Dates are 2025-03-31, 2025/03/31 or 31.03.2025, with a time of day behind it if it likes. Times with a zone are
    those of UTC; others are taken as they are.
    """
    text = text.strip()
    if match := _DAY_FIRST.fullmatch(text):
        day, month, year, time = match.groups()
        text = f"{year}-{int(month):02}-{int(day):02}{time}"
    if _YEAR_FIRST.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("/", "-", 2))
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return (moment - _EPOCH) / timedelta(days=1)


def in_natural_order(name: str) -> tuple[tuple[tuple[str, int], ...], str]:
    """The key by which names are sorted: runs of digits as numbers, so that x2 comes before x10."""
    parts = re.split(r"([0-9]+)", name)
    pairs = zip(parts[::2], [*parts[1::2], "-1"], strict=True)
    return tuple((text, int(digits)) for text, digits in pairs), name
