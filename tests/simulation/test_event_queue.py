"""The order of events in virtual time."""

from hypothesis import given
from hypothesis import strategies as st

from p2pnet.simulation.event_queue import EventQueue


def drained(queue: EventQueue[str, int]) -> list[tuple[float, str, int]]:
    taken = []
    while (time := queue.next_time()) is not None:
        taken.append((time, *queue.take()))
    return taken


def test_at_one_time_all_of_a_key_comes_before_the_next_key() -> None:
    queue: EventQueue[str, int] = EventQueue()
    for key, item in [("b", 1), ("a", 2), ("b", 3), ("a", 4)]:
        queue.add(1.0, key, item)
    assert drained(queue) == [(1.0, "b", 1), (1.0, "b", 3), (1.0, "a", 2), (1.0, "a", 4)]


def test_what_an_item_leads_to_at_once_for_its_key_comes_before_the_next_key() -> None:
    queue: EventQueue[str, int] = EventQueue()
    queue.add(1.0, "a", 1)
    queue.add(1.0, "b", 2)
    assert queue.next_time() == 1.0
    assert queue.take() == ("a", 1)
    queue.add(1.0, "a", 3)
    assert drained(queue) == [(1.0, "a", 3), (1.0, "b", 2)]


def test_a_time_that_was_done_with_can_come_up_again() -> None:
    queue: EventQueue[str, int] = EventQueue()
    queue.add(1.0, "a", 1)
    assert drained(queue) == [(1.0, "a", 1)]
    queue.add(1.0, "a", 2)
    assert drained(queue) == [(1.0, "a", 2)]


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 2.0]), st.sampled_from("abc"))))
def test_nothing_is_lost_and_times_and_the_items_of_a_key_keep_their_order(added: list[tuple[float, str]]) -> None:
    queue: EventQueue[str, int] = EventQueue()
    for item, (time, key) in enumerate(added):
        queue.add(time, key, item)
    taken = drained(queue)
    assert sorted(item for *_, item in taken) == list(range(len(added)))
    assert [time for time, *_ in taken] == sorted(time for time, _ in added)
    for each in "abc":
        of_key = [(time, item) for time, key, item in taken if key == each]
        assert of_key == sorted(of_key)
