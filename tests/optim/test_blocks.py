"""Blocks: how they are cut, and that products made block by block are those of the whole."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pnet.errors import ConfigError
from p2pnet.optim.blocks import LinearizationInBlocks, partition
from p2pnet.optim.local_objective import serial_map
from p2pnet.optim.models.mlp import Mlp

MODEL = Mlp((4, 6, 3))


@settings(max_examples=80, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=5), data=st.data())
def test_blocks_are_whole_neurons_and_cover_everything_in_order(sizes: list[int], data: st.DataObject) -> None:
    model = Mlp(sizes)
    ends = {neuron.bias + 1 for neuron in model.neurons()}
    n_blocks = data.draw(st.integers(1, len(ends)))
    blocks = partition(model, n_blocks)
    assert len(blocks) == n_blocks
    assert blocks[0].start == 0
    assert all(before.stop == after.start for before, after in pairwise(blocks))
    assert blocks[-1].stop == model.n_params
    assert all(block.stop in ends and block.stop > block.start for block in blocks)


def test_blocks_cost_about_the_same() -> None:
    for n_blocks in (2, 3, 4, 8):
        lengths = [block.stop - block.start for block in partition(Mlp((784, 256, 10)), n_blocks)]
        assert max(lengths) < 1.1 * min(lengths)


def test_more_blocks_than_neurons_are_refused() -> None:
    with pytest.raises(ConfigError, match="10 blocks of mlp 4-6-3 tanh: from 1 to 9"):
        partition(MODEL, 10)


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 7), min_size=2, max_size=5), seed=st.integers(0, 2**32), data=st.data())
def test_products_by_block_are_those_of_the_whole(sizes: list[int], seed: int, data: st.DataObject) -> None:
    model, rng = Mlp(sizes), np.random.default_rng(seed)
    whole = model.linearize(model.init(rng), rng.standard_normal((5, sizes[0])))
    n_blocks = data.draw(st.integers(1, len(model.neurons())))
    blocks = LinearizationInBlocks(whole, partition(model, n_blocks), serial_map)
    step, cotangents = rng.standard_normal(model.n_params), rng.standard_normal((5, sizes[-1]))
    roots = rng.standard_normal((5, sizes[-1], 2))
    np.testing.assert_allclose(blocks.jvp(step), whole.jvp(step), atol=1e-12)
    np.testing.assert_allclose(blocks.vjp(cotangents), whole.vjp(cotangents), atol=1e-12)
    np.testing.assert_allclose(blocks.jacobian(), whole.jacobian(), atol=1e-12)
    np.testing.assert_allclose(blocks.squared_column_norms(roots), whole.squared_column_norms(roots), atol=1e-12)
    assert (blocks.n_params, blocks.forms_jacobian) == (whole.n_params, whole.forms_jacobian)


def test_threads_change_no_bit() -> None:
    rng = np.random.default_rng(0)
    whole = MODEL.linearize(MODEL.init(rng), rng.standard_normal((40, 4)))
    step, parts = rng.standard_normal(MODEL.n_params), partition(MODEL, 5)
    with ThreadPoolExecutor(3) as pool:
        tangents = LinearizationInBlocks(whole, parts, pool.map).jvp(step)
    np.testing.assert_array_equal(tangents, LinearizationInBlocks(whole, parts, serial_map).jvp(step))
