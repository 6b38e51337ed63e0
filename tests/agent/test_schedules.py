"""Real agents on graphs that change with every round."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from p2pnet.agent.options import schedule_options
from p2pnet.agent.schedules import ScheduleOptions, describe_schedule, make_mixing
from p2pnet.agent.transport.keys import generate_keys
from p2pnet.config import NetworkSettings
from p2pnet.testing import Fleet, least_squares, linear_shards, relative_errors

N_AGENTS = 4
SCHEDULES = ["one-peer-exponential", "matching"]


def options_of(keys: list[str], me: str, **changes: object) -> ScheduleOptions:
    neighbors = [{"public_key": key, "address": "tcp://127.0.0.1:7070"} for key in keys if key != me]
    return schedule_options(NetworkSettings.model_validate({"neighbors": neighbors, **changes}), me)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_pair_agrees_on_the_rounds_in_which_it_meets(schedule: str) -> None:
    keys = [generate_keys().public for _ in range(N_AGENTS)]
    mixings = {key: make_mixing(options_of(keys, key, schedule=schedule, schedule_seed=3), key) for key in keys}
    for round_ in range(12):
        weights = {
            key: mixing.weights(round_, 3, {other: 3 for other in keys if other != key})
            for key, mixing in mixings.items()
        }
        given = {(key, other): weight for key in keys for other, weight in weights[key].given.items()}
        taken = {(other, key): weight for key in keys for other, weight in weights[key].taken.items()}
        assert given == taken
        assert len(given) == N_AGENTS


def test_agents_that_keep_to_different_schedules_tell_each_other_apart() -> None:
    keys = [generate_keys().public for _ in range(N_AGENTS)]

    def told(me: str, known: list[str] = keys, **changes: object) -> dict[str, str]:
        return describe_schedule(options_of(known, me, **changes))

    assert told(keys[0]) == {}
    matching = told(keys[0], schedule="matching")
    assert told(keys[1], schedule="matching") == matching
    assert told(keys[1], schedule="matching", schedule_seed=1) != matching
    assert told(keys[1], schedule="one-peer-exponential") != matching
    assert told(keys[1], known=keys[:3], schedule="matching") != matching


def test_a_schedule_needs_neighbors_that_are_named() -> None:
    with pytest.raises(ValidationError, match="needs all other agents"):
        NetworkSettings(schedule="matching")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_daemons_train_with_one_partner_a_round(schedule: str, tmp_path: Path) -> None:
    shards = linear_shards(N_AGENTS, noise=0.3)
    settings = {
        "network.schedule": schedule,
        "data.standardize": "network",
        "algorithm.rounds": 200,
        "algorithm.tolerance": 0.0,
    }
    with Fleet.create(tmp_path, N_AGENTS, settings=settings, shards=shards) as fleet:
        fleet.run()
        models = [agent.files.params() for agent in fleet.agents]
    assert max(relative_errors(models, least_squares(shards, standardized_by=shards))) < 1e-4
