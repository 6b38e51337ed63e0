import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from p2pnet.data.sharding import PartitionName, shard_indices, split_indices, stratified_split_indices
from p2pnet.errors import DataError


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.floats(0.01, 0.9), st.integers(0, 5))
def test_a_stratified_split_has_each_row_once_and_each_label_within_one_row_of_its_share(
    labels: list[int], test_fraction: float, seed: int
) -> None:
    n_test = int(np.ceil(test_fraction * len(labels)))
    if n_test == len(labels):
        with pytest.raises(DataError, match="too few"):
            stratified_split_indices(labels, test_fraction, np.random.default_rng(seed))
        return
    train, test = stratified_split_indices(labels, test_fraction, np.random.default_rng(seed))

    assert sorted([*train, *test]) == list(range(len(labels)))
    assert len(test) == n_test
    shares = np.bincount(labels, minlength=5) * n_test / len(labels)
    assert np.all(np.abs(np.bincount(np.array(labels)[test], minlength=5) - shares) <= 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_splits_are_those_of_scikit_learn_given_its_source_of_randomness(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 7, size=200)
    rows = np.arange(200)

    expected = train_test_split(rows, test_size=0.3, random_state=seed, stratify=labels)
    for ours, theirs in zip(stratified_split_indices(labels, 0.3, np.random.RandomState(seed)), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    expected = train_test_split(rows, test_size=0.3, random_state=seed)
    for ours, theirs in zip(split_indices(200, 0.3, np.random.RandomState(seed)), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(st.integers(1, 8), st.integers(0, 50), st.sampled_from(["iid", "sorted"]))
def test_shards_have_each_row_once_and_differ_by_one_row_at_most(
    n_agents: int, n_more: int, partition: PartitionName
) -> None:
    targets = np.arange(n_agents + n_more) % 3
    shards = shard_indices(targets, n_agents, partition, seed=0)

    assert len(shards) == n_agents
    assert sorted(np.concatenate(shards)) == list(range(len(targets)))
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


def test_sorted_shards_are_in_the_order_of_the_targets_and_keep_the_order_of_equal_ones() -> None:
    first, second = shard_indices(np.array([[3.0], [1.0], [3.0], [1.0]]), 2, "sorted", seed=0)

    np.testing.assert_array_equal(first, [1, 3])
    np.testing.assert_array_equal(second, [0, 2])


def test_iid_shards_are_the_cut_of_a_seeded_permutation() -> None:
    order = np.random.default_rng(7).permutation(10)
    np.testing.assert_array_equal(np.concatenate(shard_indices(np.zeros(10), 3, "iid", seed=7)), order)


def test_fewer_rows_than_agents_are_refused() -> None:
    with pytest.raises(DataError, match="3 training rows are too few for 4 agents"):
        shard_indices(np.zeros(3), 4, "iid", seed=0)
