"""The conservation error finds whatever is lost, wherever it is lost, in units of all that is owned."""

from dataclasses import replace

import numpy as np
import pytest

from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.links.conservation import AgentLedger, LinkLedger, conservation_error, total

HERE = LinkId(Nonce(1, 1), Nonce(2, 2))
OWN = {"a": np.array([3.0, 4.0]), "b": np.array([0.0, 5.0])}


def ledgers(
    sent: tuple[float, float] = (1.0, 0.0),
    received: tuple[float, float] = (0.0, 1.0),
    link_ids: tuple[LinkId, LinkId] = (HERE, HERE.mirrored()),
    lost: float = 0.0,
) -> list[AgentLedger]:
    """Two agents with a link, of which all entries of a vector are the same: a's end first."""

    def ledger(name: str, peer: str, k: int) -> AgentLedger:
        link = LinkLedger(peer, link_ids[k], np.full(2, sent[k]), np.full(2, received[k]))
        mass = OWN[name] + link.received - link.sent - np.array([lost if k else 0.0, 0.0])
        return AgentLedger(name, OWN[name], mass, (link,))

    return [ledger("a", "b", 0), ledger("b", "a", 1)]


def test_nothing_is_lost_where_both_ends_say_the_same() -> None:
    assert conservation_error(ledgers()) == 0.0
    assert conservation_error(ledgers(sent=(7.0, 5.0), received=(5.0, 7.0))) == 0.0


def test_what_a_tracker_has_lost_counts_in_units_of_all_own_vectors() -> None:
    assert conservation_error(ledgers(lost=2.0)) == pytest.approx(2.0 / 10.0, rel=1e-15)


def test_what_one_end_has_not_received_counts_at_the_link_and_in_the_sum() -> None:
    missing = np.sqrt(2.0)  # ‖(1, 1)‖
    assert conservation_error(ledgers(received=(0.0, 0.0))) == pytest.approx(2 * missing / 10.0, rel=1e-15)


def test_opposite_errors_of_two_directions_cancel_in_the_sum_and_not_at_the_link() -> None:
    wrong = ledgers(sent=(1.0, 1.0), received=(2.0, 0.0))
    assert conservation_error(wrong) == pytest.approx(2 * np.sqrt(2.0) / 10.0, rel=1e-15)


def test_a_link_of_which_one_end_is_gone_counts_in_full() -> None:
    first, second = ledgers(sent=(3.0, 0.0), received=(1.0, 3.0))
    alone = [first, AgentLedger("b", second.own, second.mass, ())]
    expected = np.sqrt(2.0) * (abs(1.0 - 3.0 + 3.0) + 3.0 + 1.0) / 10.0  # the sum's part, sent, and received
    assert conservation_error(alone) == pytest.approx(expected, rel=1e-15)


def test_two_links_of_the_same_agents_are_told_apart_by_their_nonces() -> None:
    other = LinkId(Nonce(1, 1), Nonce(2, 3)).mirrored()
    expected = np.sqrt(2.0) * (1.0 + 1.0) / 10.0  # what each end has moved over a link that the other has not
    assert conservation_error(ledgers(link_ids=(HERE, other))) == pytest.approx(expected, rel=1e-15)


def test_vectors_are_summed_as_if_the_shorter_ones_ended_in_zeros() -> None:
    assert total([np.ones(1), np.array([2.0, 3.0, 4.0]), np.zeros(0)]).tolist() == [3.0, 3.0, 4.0]
    assert total([]).tolist() == []


def test_what_one_agent_alone_tracks_of_curvature_counts_where_it_is_lost() -> None:
    first, second = ledgers()
    longer = replace(first, own=np.array([3.0, 4.0, 12.0]), mass=np.append(first.mass, 12.0))
    assert conservation_error([longer, second]) == 0.0
    lost = replace(longer, mass=np.append(first.mass, 3.0))
    assert conservation_error([lost, second]) == pytest.approx(9.0 / 18.0, rel=1e-15)


def test_a_ledger_in_a_message_says_whose_it_is_and_none_of_its_numbers() -> None:
    ledger = ledgers()[0]
    (link,) = ledger.links
    assert repr(ledger) == "AgentLedger(agent='a')"
    assert repr(replace(link, mask=np.ones(2))) == f"LinkLedger(peer='b', link_id={HERE!r}, is_net=False)"


def test_of_links_that_know_the_balance_alone_the_two_ends_are_compared() -> None:
    """One end has received 3 more than it has sent, the other 2 less: 1 is lost at the link, and in the sum."""

    def ledger(name: str, peer: str, balance: float, link_id: LinkId) -> AgentLedger:
        link = LinkLedger(peer, link_id, np.zeros(2), np.full(2, balance), is_net=True)
        return AgentLedger(name, OWN[name], OWN[name] + link.received, (link,))

    even = [ledger("a", "b", 3.0, HERE), ledger("b", "a", -3.0, HERE.mirrored())]
    assert conservation_error(even) == 0.0
    uneven = [even[0], ledger("b", "a", -2.0, HERE.mirrored())]
    assert conservation_error(uneven) == pytest.approx(2 * np.sqrt(2.0) / 10.0, rel=1e-15)
    mixed = [ledgers(sent=(1.0, 0.0), received=(4.0, 0.0))[0], even[1]]
    assert conservation_error(mixed) == 0.0
