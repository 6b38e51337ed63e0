"""The parts of a round machine belong together: they share one state, one table of neighbors and one tracker."""

import numpy as np
import pytest

from p2pnet.protocol.core.events import Evaluated
from p2pnet.protocol.core.types import Nonce
from p2pnet.protocol.messages.training import CODED_SHARES
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.parts import assemble
from tests.protocol.rounds.parts import N_PARAMS, Parts


def test_links_have_room_for_the_parameters_the_signs_and_two_numbers() -> None:
    parts = assemble(Identity("me", "me", 1, {}), RoundOptions(10, n_signs=16), np.zeros(3), n_sums=3)
    assert parts.exchange.tracker.own.shape == (3 + 16 + 2,)


def test_the_ledger_has_what_was_given_over_every_link_and_the_mass_is_what_is_left() -> None:
    parts = Parts("ann", "bob")
    parts.exchange.evaluated(Evaluated(0, np.arange(1.0, N_PARAMS + 1), 3.0))
    parts.exchange.give(0, np.zeros(N_PARAMS), 1.0, is_quiet=False, now=0.0, heard_since=0.0)
    ledger = parts.all.ledger()
    assert [link.peer for link in ledger.links] == ["ann", "bob"]
    assert all(link.sent.any() for link in ledger.links)
    np.testing.assert_allclose(ledger.mass, ledger.own - sum(link.sent for link in ledger.links), rtol=1e-12)


def test_what_is_heard_reaches_the_part_that_it_is_for() -> None:
    parts = Parts("ann")
    parts.termination.begin_round(is_quiet=True)  # an agent that has never been quiet believes no last round
    parts.handlers.received("ann", parts.share("ann", 0, stop_round=9), 1.0)
    assert parts.barrier.has_news
    assert parts.termination.stop_round == 9
    assert parts.all.stationarity.first_residual == 1.0


@pytest.mark.parametrize(
    ("n_params", "is_coded", "timeout_s"),
    [
        *((3, False, 1.0), (200_000, False, 1.0), (2_000_000, False, 9.6), (10_000_000, False, 48.0)),
        *((3, True, 1.0), (100_000, True, 1.0), (2_000_000, True, 19.2), (10_000_000, True, 96.0)),
    ],
)
def test_shares_of_large_models_are_not_repeated_while_they_are_on_their_way(
    n_params: int, is_coded: bool, timeout_s: float
) -> None:
    """Of 16 bytes a parameter, three times what 10 MB/s take; coding them takes a slow machine twice as long."""
    params = np.zeros(n_params)
    options = RoundOptions(10, precision=64, is_coded=is_coded)
    parts = assemble(Identity("me", "me", 1, {}), options, params, n_sums=n_params)
    neighbor = parts.neighborhood.connected("ann", 0.0)
    neighbor.capabilities = frozenset({CODED_SHARES})
    parts.neighborhood.open_link(neighbor, Nonce(1, 1))
    assert neighbor.link is not None
    neighbor.link.timer.sent(1, 0.0)
    assert neighbor.link.timer.due_at == pytest.approx(timeout_s, rel=1e-4)
