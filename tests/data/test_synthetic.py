"""Made-up samples come shard by shard, and are what was asked for."""

import numpy as np
import pytest

from p2pnet.data.synthetic import SyntheticData, make_synthetic, parse_synthetic, shard_rows
from p2pnet.errors import ConfigError, DataError


def test_the_text_says_task_and_sizes() -> None:
    assert parse_synthetic("synthetic:regression:100:3") == SyntheticData("regression", 100, 3)
    assert parse_synthetic("synthetic:classification:100:3:4") == SyntheticData("classification", 100, 3, 4)


@pytest.mark.parametrize(
    "text",
    ["synthetic:regression:100", "synthetic:regression:0:3", "synthetic:classification:100:3:1", "synthetic:other:9:9"],
)
def test_a_text_that_is_none_says_what_would_be(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--data {text}: .*synthetic:regression:ROWS:INPUTS"):
        parse_synthetic(text)


def test_a_shard_depends_on_the_seed_and_its_agent_only() -> None:
    few, _ = make_synthetic(SyntheticData("regression", 20, 3), 2, seed=5)
    many, _ = make_synthetic(SyntheticData("regression", 70, 3), 7, seed=5)
    np.testing.assert_array_equal(few.X, many.X[:20])
    np.testing.assert_array_equal(few.Y, many.Y[:20])
    other, _ = make_synthetic(SyntheticData("regression", 20, 3), 2, seed=6)
    assert not np.any(other.X == few.X)


@pytest.mark.parametrize(("n_rows", "n_agents"), [(10, 3), (7, 7), (100, 1)])
def test_shards_are_all_rows_in_nearly_equal_parts(n_rows: int, n_agents: int) -> None:
    rows = shard_rows(n_rows, n_agents)
    sizes = [part.stop - part.start for part in rows]
    assert sum(sizes) == n_rows
    assert max(sizes) - min(sizes) <= 1
    assert [row for part in rows for row in range(n_rows)[part]] == list(range(n_rows))


def test_classes_all_occur_and_inputs_are_normal() -> None:
    train, test = make_synthetic(SyntheticData("classification", 5000, 8, 4), 10, seed=0)
    assert np.bincount(train.Y).min() > 500
    assert set(test.Y) == {0, 1, 2, 3}
    np.testing.assert_allclose(train.X.mean(axis=0), 0.0, atol=0.1)
    np.testing.assert_allclose(train.X.std(axis=0), 1.0, atol=0.1)


def test_the_target_can_be_learned_from_the_inputs() -> None:
    train, _ = make_synthetic(SyntheticData("regression", 2000, 3), 4, seed=0)
    X = np.column_stack([train.X, np.ones(2000)])
    residual = train.Y - X @ np.linalg.lstsq(X, train.Y, rcond=None)[0]
    assert residual.var() < 0.7 * train.Y.var()


def test_single_precision_is_made_as_such() -> None:
    train, test = make_synthetic(SyntheticData("regression", 20, 3), 2, 0, np.float32)
    assert {train.X.dtype, train.Y.dtype, test.X.dtype} == {np.dtype(np.float32)}


def test_more_agents_than_rows_are_refused() -> None:
    with pytest.raises(DataError, match="3 rows are too few for 4 agents"):
        make_synthetic(SyntheticData("regression", 3, 2), 4, seed=0)
