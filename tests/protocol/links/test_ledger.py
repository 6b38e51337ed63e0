"""Norms, and totals whose ledger keeps no more of a share than is of use."""

import math

import numpy as np
import pytest

from p2pnet.protocol.links.ledger import CHUNK, TotalsLedger, norm
from tests.protocol.links.shares import give, new_link


def test_norms_of_single_precision_are_exact_and_do_not_overflow() -> None:
    vector = np.full(3 * CHUNK + 1, 1e30, dtype=np.float32)
    assert norm(vector) == pytest.approx(float(np.float32(1e30)) * math.sqrt(vector.size), rel=1e-14)
    ones = np.ones(CHUNK + 5, dtype=np.float32)
    assert norm(ones) == math.sqrt(CHUNK + 5)
    assert norm(np.array([3e200, 4e200])) == math.inf
    assert norm(np.zeros(0, dtype=np.float32)) == 0.0


def test_a_share_that_was_entered_is_read_no_more() -> None:
    sender, receiver = new_link(), new_link()
    for round_ in range(3):
        receiver.accept(give(sender, round_), round_, 0.0)
    assert isinstance(receiver.ledger, TotalsLedger)
    receiver.apply(1)
    receiver.apply(2)
    assert receiver.ledger._read_by.keys() <= {1}
    receiver.accept(give(sender, 3), 3, 0.0)
    assert receiver.ledger._read_by.keys() == {4}
