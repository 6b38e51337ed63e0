"""Which offences may come of samples that have changed."""

from p2pnet.protocol.rounds.excuses import EXCUSED_ROUNDS, HEARD_FROM, Excuses


def after(n_rounds: int, excuses: Excuses) -> Excuses:
    for _ in range(n_rounds):
        excuses.see_round()
    return excuses


def test_where_agents_do_not_keep_running_nothing_is_excused() -> None:
    assert not after(HEARD_FROM, Excuses(may_change=False)).excused(["eve"])


def test_all_that_is_found_at_once_is_excused_once() -> None:
    excuses = after(HEARD_FROM, Excuses(may_change=True))
    assert excuses.excused(["ann", "bob"]) == {"ann", "bob"}
    assert not excuses.excused(["ann"])


def test_what_is_found_after_a_while_is_excused_again() -> None:
    excuses = after(HEARD_FROM, Excuses(may_change=True))
    assert excuses.excused(["ann"])
    assert excuses.excused([]) == set()
    assert after(EXCUSED_ROUNDS, excuses).excused(["ann"]) == {"ann"}
    assert not after(EXCUSED_ROUNDS - 1, excuses).excused(["bob"])


def test_who_was_not_excused_once_never_is() -> None:
    excuses = after(HEARD_FROM, Excuses(may_change=True))
    excuses.excused(["ann"])
    assert not excuses.excused(["eve"])
    assert after(EXCUSED_ROUNDS, excuses).excused(["ann", "eve"]) == {"ann"}


def test_where_nothing_that_is_tracked_has_changed_there_is_no_excuse_then_nor_later() -> None:
    excuses = after(HEARD_FROM, Excuses(may_change=True))
    assert not excuses.excused(["eve"], may_have_changed=False)
    assert excuses.excused(["ann", "eve"]) == {"ann"}


def test_in_the_first_rounds_nothing_is_excused_unless_an_epoch_was_announced() -> None:
    excuses = after(HEARD_FROM - 1, Excuses(may_change=True))
    assert not excuses.excused(["eve"])
    excuses.begin_anew()
    assert excuses.excused(["ann", "eve"]) == {"ann"}


def test_in_an_epoch_that_was_announced_there_is_an_excuse_at_once() -> None:
    excuses = after(HEARD_FROM, Excuses(may_change=True))
    excuses.excused(["ann"])
    excuses.begin_anew()
    assert excuses.excused(["ann"]) == {"ann"}
