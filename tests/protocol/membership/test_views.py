"""The active view: how many places there are, for members and for guests, and to whom messages can be sent."""

from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.membership.views import ActiveView, Contact, Purpose

sizes = st.integers(1, 6).flatmap(lambda capacity: st.tuples(st.integers(0, capacity), st.just(capacity)))


@given(sizes=sizes, n_members=st.integers(0, 6), n_guests=st.integers(0, 6))
def test_guests_take_places_but_never_those_that_are_kept_for_members(
    sizes: tuple[int, int], n_members: int, n_guests: int
) -> None:
    n_wanted, capacity = sizes
    view = ActiveView(n_wanted, capacity)
    for k in range(n_members):
        view.add(f"peer-{k}", now=0.0)
    view.n_guests = n_guests
    assert view.is_full == (n_members + n_guests >= capacity)
    assert view.has_room_for_guest == (n_members + n_guests < capacity and n_guests < capacity - n_wanted)


@given(st.integers(1, 6))
def test_guests_alone_never_fill_a_view_that_wants_members(capacity: int) -> None:
    view = ActiveView(n_wanted=1, capacity=capacity)
    while view.has_room_for_guest:
        view.n_guests += 1
    assert view.n_guests == capacity - 1
    assert not view.is_full


def test_neighbors_come_and_go_and_keep_their_order() -> None:
    view = ActiveView(2, 4)
    for peer in ("cy", "ann", "bob"):
        view.add(peer, now=3.0)
    view.remove("ann")
    assert [neighbor.peer for neighbor in view] == ["cy", "bob"]
    assert ("ann" in view, "bob" in view, len(view)) == (False, True, 2)
    found = view.find("bob")
    assert found is not None
    assert (found.heard_at, found.pinged_at, found.vouched_at) == (3.0, 3.0, float("-inf"))
    assert view.find("ann") is None


def test_neighbors_may_be_removed_while_they_are_gone_through() -> None:
    view = ActiveView(2, 4)
    for peer in ("ann", "bob", "cy"):
        view.add(peer, now=0.0)
    for neighbor in view:
        view.remove(neighbor.peer)
    assert len(view) == 0


def test_messages_go_to_those_whose_connection_is_open() -> None:
    view = ActiveView(2, 4)
    for peer in ("ann", "bob"):
        view.add(peer, now=0.0)
    found = view.find("ann")
    assert found is not None
    found.disconnected_at = 1.0
    assert view.connected == ["bob"]


def test_a_contact_that_is_being_dialed_has_been_asked_nothing() -> None:
    contact = Contact("ann", Purpose.ASK, until=8.0)
    assert (contact.asked_at, contact.asker, contact.is_urgent) == (None, "", False)
