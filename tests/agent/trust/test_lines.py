"""Lines survive terminals, phones and mail, and are refused when they do not."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.agent.trust.lines import from_line, to_line
from p2pnet.errors import SecurityError


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["invite", "recovery"]))
def test_a_line_is_read_as_it_was_written_and_has_no_sign_that_a_shell_touches(data: bytes, word: str) -> None:
    line = to_line(word, data)
    assert set(line) <= set(string.ascii_lowercase + string.digits)
    assert from_line(word, line) == data


@given(st.binary(min_size=1, max_size=200), st.data())
def test_capital_letters_and_breaks_make_no_difference(data: bytes, draw: st.DataObject) -> None:
    line = to_line("invite", data)
    place = draw.draw(st.integers(0, len(line)))
    assert from_line("invite", f"  {line[:place]}\n {line[place:].upper()} ") == data


@given(st.binary(min_size=1, max_size=100), st.data())
def test_an_altered_line_is_refused_and_not_repeated(data: bytes, draw: st.DataObject) -> None:
    line = to_line("invite", data)
    place = draw.draw(st.integers(6, len(line) - 2))  # the last sign has bits that stand for nothing
    sign = draw.draw(st.sampled_from(sorted(set("abcdefghijklmnopqrstuvwxyz234567") - {line[place]})))
    with pytest.raises(SecurityError, match="altered") as caught:
        from_line("invite", line[:place] + sign + line[place + 1 :])
    assert line not in str(caught.value)


@pytest.mark.parametrize("text", ["", "hello", "recoverymfrgg", "invite", "invite!!!!", "inviteé"])
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(SecurityError):
        from_line("invite", text)
