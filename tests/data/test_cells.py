"""What a cell means follows from its text alone."""

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.data.cells import (
    days_of,
    in_natural_order,
    is_missing,
    label_text,
    number_of,
    plain_number,
    text_of_number,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("1", 1), (" -2.5 ", -2.5), ("+1e-3", 1e-3), (".5", 0.5), ("5.", 5), ("1E400", None), ("0x1", None)],
        *[("1_000", None), ("1,5", None), ("٣", None), ("inf", None), ("nan", None), ("", None), ("1 2", None)],
        *[("yes", 1), ("No", 0), ("TRUE", 1), ("false", 0), ("Ja", 1), ("n", None), ("f", None), ("01", 1)],
    ],
)
def test_a_number_is_digits_or_a_truth_value(text: str, number: float | None) -> None:
    assert number_of(text) == number


def test_a_decimal_comma_leaves_no_place_for_points() -> None:
    assert plain_number("1,5", ",") == 1.5
    assert plain_number("1.5", ",") is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_it_was_written(number: float) -> None:
    assert plain_number(repr(number)) == number


@pytest.mark.parametrize(
    ("text", "label"),
    [
        *[("01", "01"), ("1", "1"), ("1.0", "1"), ("-0", "0"), ("1.50", "1.5"), ("1e3", "1e3"), (" x ", "x")],
        *[("12345678901234567891", "12345678901234567891"), ("True", "true"), ("YES", "yes"), ("Yes, but", "Yes, but")],
        *[("cafe\u0301", "café"), ("0.10", "0.1"), ("00.1", "00.1"), ("1.", "1.")],
    ],
)
def test_a_label_is_trimmed_composed_and_rid_of_zeros_behind_the_point(text: str, label: str) -> None:
    assert label_text(text) == label


@given(st.text(max_size=12))
def test_a_label_of_a_label_is_the_same(text: str) -> None:
    label = label_text(text)
    assert label_text(label) == label
    assert label_text(unicodedata.normalize("NFD", text)) == label


@given(st.integers(-(2**53), 2**53))
def test_whole_numbers_are_the_same_label_however_they_came(number: int) -> None:
    assert text_of_number(float(number)) == label_text(str(number)) == label_text(f"{number}.0")


@pytest.mark.parametrize("text", ["", " ", "NA", "n/a", "NaN", "null", "?", "#N/A"])
def test_what_stands_for_no_value(text: str) -> None:
    assert is_missing(text)
    assert not is_missing(f"{text}x")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        *[("1970-01-02", 1), ("1970/01/02", 1), ("2.1.1970", 1), ("1970-01-01 06:00", 0.25), ("1969-12-31", -1)],
        *[("1970-01-01T12:00:00Z", 0.5), ("1970-01-01T12:00+06:00", 0.25), ("02.01.1970 12:00", 1.5)],
        *[("01/02/1970", None), ("1970-13-01", None), ("19700101", None), ("soon", None), ("1970-1-1", None)],
    ],
)
def test_a_date_is_days_since_1970(text: str, days: float | None) -> None:
    found = days_of(text)
    assert found == days if days is None else found is not None and math.isclose(found, days)


def test_numbers_in_names_are_in_their_order() -> None:
    names = ["x10", "x2", "x", "a", "x2b", "x02"]
    assert sorted(names, key=in_natural_order) == ["a", "x", "x02", "x2", "x2b", "x10"]
