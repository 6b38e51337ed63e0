from pathlib import Path

import numpy as np
import pytest

from p2pnet.errors import ConfigError, DataError
from p2pnet.experiments.demo.options import DemoOptions
from p2pnet.experiments.options import parse_arguments
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.workload import make_simulated_workload
from p2pnet.experiments.workload import Workload, make_workload


def digits(**options: object) -> Workload:
    asked: dict[str, object] = {
        "n_agents": 8,
        "topology": "random",
        "data": "digits",
        "target": None,
        "task": "auto",
        "partition": "iid",
        "hidden": (32,),
        "penalty": "l2:1e-3",
        "seed": 0,
    }
    return make_workload(**(asked | options))  # type: ignore[arg-type]


def test_more_labels_than_agents_tell_each_other_are_refused_at_once(tmp_path: Path) -> None:
    table = tmp_path / "many.csv"
    table.write_text("a,y\n" + "".join(f"{k % 7},label {k}\n{k % 5},label {k}\n" for k in range(2000)))
    with pytest.raises(DataError, match=r"column 'y': has 2000 labels; a network has 1024 at most"):
        digits(data=str(table))
    options = SimulateOptions(data=str(table), agents=2)
    with pytest.raises(DataError, match="has 2000 labels"):
        make_simulated_workload(options, [(0, 1)])


def test_every_training_sample_is_in_exactly_one_shard() -> None:
    workload = digits()
    rows = np.concatenate([np.column_stack([shard.X, shard.Y]) for shard in workload.shards])

    assert workload.n_agents == 8
    np.testing.assert_array_equal(
        np.sort(rows, axis=0), np.sort(np.column_stack([workload.train.X, workload.train.Y]), axis=0)
    )


def test_sorted_shards_hold_few_labels_but_know_all_classes() -> None:
    shards = digits(partition="sorted").shards
    assert max(len(np.unique(shard.Y)) for shard in shards) <= 3
    assert {len(shard.classes) for shard in shards} == {10}


def test_the_seed_decides_the_graph_the_shards_and_the_first_parameters() -> None:
    one, same, other = digits(seed=1), digits(seed=1), digits(seed=2)

    assert one.edges == same.edges
    np.testing.assert_array_equal(one.shards[0].X, same.shards[0].X)
    np.testing.assert_array_equal(one.problem.first_params(), same.problem.first_params())
    assert one.edges != other.edges
    assert not np.array_equal(one.shards[0].X, other.shards[0].X)
    assert not np.array_equal(one.problem.first_params(), other.problem.first_params())


def test_too_many_agents_for_the_samples() -> None:
    with pytest.raises(DataError, match="too few for 2000 agents"):
        digits(n_agents=2000)


def test_arguments_of_a_factory_are_values_of_toml_or_text() -> None:
    assert parse_arguments(["width=16", "rate=0.5", "kind=gru", 'name="a b"', "sizes=[1, 2]", "is_deep=true"]) == {
        "width": 16,
        "rate": 0.5,
        "kind": "gru",
        "name": "a b",
        "sizes": [1, 2],
        "is_deep": True,
    }
    for wrong in ("width", "2x=1", "=3"):
        with pytest.raises(ConfigError, match="must be written as in width=16"):
            parse_arguments([wrong])


def test_arguments_without_a_factory_are_refused() -> None:
    with pytest.raises(ConfigError, match="is a --factory's"):
        DemoOptions(arguments={"width": 2})
