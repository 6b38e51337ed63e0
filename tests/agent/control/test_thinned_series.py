"""A series that grows for ever keeps an even part of itself, its first item and its latest."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from p2pnet.agent.control.thinned_series import ThinnedSeries


@given(st.integers(0, 500), st.integers(2, 20), st.integers(0, 500))
def test_what_is_kept_is_bounded_even_and_ends_with_the_latest(n_items: int, capacity: int, after: int) -> None:
    series = ThinnedSeries[str](capacity)
    for k in range(n_items):
        series.add(f"item {k + 1}")
    assert len(series) <= capacity
    everything = series.after(0)
    assert all(item == f"item {number}" for number, item in everything)
    numbers = [number for number, _ in everything]
    assert numbers[:1] == [1][:n_items]
    assert numbers[-1:] == [n_items][: min(n_items, 1)]
    assert len({later - earlier for earlier, later in pairwise(numbers[:-1])}) <= 1
    assert series.after(after) == [entry for entry in everything if entry[0] > after]


@given(st.integers(2, 20), st.lists(st.integers(1, 30), max_size=20))
def test_a_reader_that_asks_again_and_again_misses_nothing_that_it_could_have_had(
    capacity: int, batches: list[int]
) -> None:
    series = ThinnedSeries[int](capacity)
    read = 0
    n_items = 0
    for n_new in batches:
        for _ in range(n_new):
            n_items += 1
            series.add(n_items)
        found = series.after(read)
        assert [item for _, item in found] == sorted({item for _, item in found})
        read = found[-1][0]
        assert read == n_items
