"""What two agents differ in is named, causes before what follows from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.effects import PutOff
from p2pnet.protocol.core.types import Nonce
from p2pnet.protocol.messages.training import MAX_TEXT_LENGTH, Hello
from p2pnet.protocol.rounds.fingerprints import COLUMNS_FIELD, MAX_COLUMN_FIELDS, column_fields, refusal


def reason(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Why this agent refuses the other; empty where it does not."""
    effects = refusal("bob", ours, Hello(Nonce(1, 1), None, theirs, "bob", "", -1, False))
    (told,) = [effect.reason for effect in effects if isinstance(effect, PutOff)] or [""]
    return told


def test_a_missing_column_is_named_for_each_side() -> None:
    ours = {**column_fields(["age", "bmi", "ward (category)"]), "model": "mlp 3-2"}
    theirs = {**column_fields(["age", "ward (category)"]), "model": "mlp 2-2"}
    assert reason(ours, theirs).startswith("columns: theirs lack 'bmi'; give both the same columns, by data.ignore")
    assert reason(theirs, ours).startswith("columns: ours lack 'bmi'; ")
    assert reason(ours, ours) == ""


def test_a_column_of_another_kind_is_named_with_both() -> None:
    told = reason(column_fields(["age", "ward"]), column_fields(["age", "ward (category)"]))
    assert told.startswith("columns: theirs lack 'ward', ours lack 'ward (category)'; ")


def test_the_same_columns_in_another_order_are_told_so() -> None:
    told = reason(column_fields(["b", "a"]), column_fields(["a", "b"]))
    assert told == "columns: they are the same in another order; give both the same data.features, or none"


@pytest.mark.parametrize("field", ["classes", "data", "model", "loss"])
def test_the_task_comes_before_what_follows_from_it(field: str) -> None:
    ours, theirs = {"task": "regression", field: "x"}, {"task": "classification", field: "y"}
    told = "task: theirs is classification, ours is regression; give both the same data.task"
    assert reason(ours, theirs) == told


@given(st.lists(st.text(max_size=40), max_size=400))
def test_any_columns_make_fields_of_bounded_length(columns: list[str]) -> None:
    fields = column_fields(columns)
    assert len(fields) <= MAX_COLUMN_FIELDS
    assert all(name.startswith(COLUMNS_FIELD) for name in fields)
    assert all(len(text) <= MAX_TEXT_LENGTH for text in fields.values())


def test_of_very_many_columns_the_last_differ_by_their_digest() -> None:
    columns = [f"a column with a long name, number {k}" for k in range(2000)]
    assert column_fields(columns) == column_fields(list(columns))
    other = column_fields([*columns[:-1], "another"])
    assert other != column_fields(columns)
    assert "columns: " in reason(column_fields(columns), other)
