"""Sums that take no memory of their own."""

import numpy as np
import pytest

from p2pnet.optim.arrays import CHUNK, add_product


@pytest.mark.parametrize("size", [1, CHUNK, 2 * CHUNK + 3])
@pytest.mark.parametrize("is_number", [False, True])
def test_a_product_is_added_to_the_last_bit_as_at_once(size: int, is_number: bool) -> None:
    rng = np.random.default_rng(0)
    total, vector, diagonal = rng.standard_normal((3, size))
    factor = 0.7 if is_number else diagonal
    expected = total + factor * vector
    add_product(total, factor, vector)
    np.testing.assert_array_equal(total, expected)


def test_single_precision_stays_what_it_is() -> None:
    total, vector = np.ones(3, dtype=np.float32), np.full(3, 0.1, dtype=np.float32)
    add_product(total, 0.5, vector)
    np.testing.assert_array_equal(total, np.float32(1.0) + np.float32(0.5) * vector)
    assert total.dtype == np.float32
