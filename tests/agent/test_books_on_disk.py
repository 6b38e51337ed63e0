"""The books of a run are read again as they were written, whole totals and balances."""

from pathlib import Path

import numpy as np

from p2pnet.agent.state_directory import StateDirectory
from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.links.conservation import AgentLedger, LinkLedger

WHOLE = LinkLedger("bob", LinkId(Nonce(1, 2), Nonce(3, 4)), np.array([1.0, 2.0]), np.array([3.0, 5.0]))
NET = LinkLedger("cat", LinkId(Nonce(1, 3), Nonce(5, 6)), np.zeros(2), np.array([-7.0, 0.5]), is_net=True)


def test_of_a_link_that_knows_its_balance_alone_that_is_kept(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.save_ledger(AgentLedger("ann", np.ones(2), np.full(2, 4.0), (WHOLE, NET)))
    with np.load(tmp_path / "books.npz") as file:
        assert sorted(name for name in file if "_" in name) == ["link_ids", "received_0", "received_1", "sent_0"]
    read = state.load_ledger()
    assert (read.agent, read.own.tolist(), read.mass.tolist()) == ("ann", [1.0, 1.0], [4.0, 4.0])
    for found, written in zip(read.links, (WHOLE, NET), strict=True):
        assert (found.peer, found.link_id, found.is_net) == (written.peer, written.link_id, written.is_net)
        np.testing.assert_array_equal(found.sent, written.sent)
        np.testing.assert_array_equal(found.received, written.received)
