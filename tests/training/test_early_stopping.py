"""Early stopping: what one agent makes of the losses of all, and which parameters are the best."""

import numpy as np
import pytest

from p2pnet.agent.options import training_options
from p2pnet.config import settings_of
from p2pnet.errors import ConfigError
from p2pnet.training.early_stopping import EarlyStopping, Patience

PATIENCE = Patience(rounds=40, slack=30)


def loss_of(params: np.ndarray) -> float:
    """Least at 60, of four rows."""
    return 4.0 * float((params[0] - 60.0) ** 2)


def stopped_in(stopping: EarlyStopping, n_rounds: int, start: int = 0) -> int:
    """The round in which patience ends where the parameters are the number of the round, with one agent alone."""
    for round_ in range(start, n_rounds):
        tracked = stopping.observe(round_, np.array([float(round_)]))
        assert tracked.shape == (stopping.n_tracked,)
        if stopping.has_ended(round_, tracked / 7.0):
            return round_
    raise AssertionError("it has not ended")


def test_patience_ends_so_many_rounds_after_the_least_loss() -> None:
    assert stopped_in(EarlyStopping(loss_of, 4, PATIENCE), 1000) == 100


@pytest.mark.parametrize("n_more", [0, 20, 40])
def test_the_best_parameters_are_there_until_all_agents_have_ended(n_more: int) -> None:
    stopping = EarlyStopping(loss_of, 4, PATIENCE)
    end = stopped_in(stopping, 1000)
    for round_ in range(end + 1, end + n_more + 1):
        assert stopping.has_ended(round_, stopping.observe(round_, np.array([float(round_)])))
    candidates = stopping.candidates()
    assert candidates.shape == (stopping.n_candidates,)
    best = stopping.best(candidates / 3.0)
    assert (best.round, best.params[0], best.is_kept) == (60, 60.0, True)


def test_the_losses_of_all_decide_and_not_ones_own() -> None:
    stopping = EarlyStopping(loss_of, 4, PATIENCE)
    for round_ in range(90):
        stopping.observe(round_, np.array([float(round_)]))
    candidates = stopping.candidates()
    losses = candidates[:-4]
    losses += 1.0
    losses[-1] = 0.5  # others are best with the last ones
    assert stopping.best(candidates).round == 89
    losses[:] = 5.0
    first = stopping.best(candidates)
    assert first.params[0] == first.round == 0


def until_round(stopping: EarlyStopping, last: int, start: int = 0) -> EarlyStopping:
    """The agent after that round, alone, where the parameters are the number of the round."""
    for round_ in range(start, last + 1):
        stopping.has_ended(round_, stopping.observe(round_, np.array([float(round_)])))
    return stopping


def test_the_best_parameters_are_there_however_long_others_hold_up_the_end() -> None:
    one, other = (until_round(EarlyStopping(loss_of, 4, PATIENCE), 1000) for _ in range(2))
    for agent in (one, other):
        best = agent.best((one.candidates() + other.candidates()) / 2.0)
        assert (best.round, best.params[0], best.is_kept) == (60, 60.0, True)


def test_old_parameters_are_not_the_best_where_agents_do_not_hold_the_same_to_be() -> None:
    one = until_round(EarlyStopping(loss_of, 4, PATIENCE), 1000)
    other = until_round(EarlyStopping(lambda params: 4.0 * float(abs(params[0] - 80.0)), 4, PATIENCE), 1000)
    chosen = {agent.best((one.candidates() + other.candidates()) / 2.0).round for agent in (one, other)}
    assert len(chosen) == 1
    assert chosen.isdisjoint({60, 80})


def test_an_agent_that_was_started_again_finds_out_what_was_the_best() -> None:
    before = until_round(EarlyStopping(loss_of, 4, PATIENCE), 110)
    again = EarlyStopping(loss_of, 4, PATIENCE)
    again.restore(before.kept, is_over=before.is_over)
    best = until_round(again, 1000, start=111).best(again.candidates())
    assert (best.round, best.params[0], best.is_kept) == (60, 60.0, True)


def test_an_agent_that_was_left_behind_has_parameters_for_each_candidate() -> None:
    stopping = EarlyStopping(loss_of, 4, PATIENCE)
    for round_ in [*range(20), *range(55, 130)]:
        stopping.observe(round_, np.array([float(round_)]))
    losses = stopping.candidates()
    best = stopping.best(losses)
    assert best.round == best.params[0] == 60
    assert best.is_kept
    losses[2] = 0.0  # for all it was least in the round 45, in which it was not there
    missed = stopping.best(losses)
    assert (missed.params[0], missed.is_kept) == (55.0, False)
    late = EarlyStopping(loss_of, 4, PATIENCE)
    late.observe(300, np.array([300.0]))
    only = late.best(late.candidates())
    assert (only.params[0], only.is_kept) == (300.0, False)


def test_without_rows_anywhere_nothing_ends_and_the_last_parameters_are_kept() -> None:
    stopping = EarlyStopping(lambda _: 0.0, 0, PATIENCE)
    with pytest.raises(AssertionError, match="has not ended"):
        stopped_in(stopping, 300)
    last = stopping.best(stopping.candidates())
    assert last.round == last.params[0] == 299.0


@pytest.mark.parametrize("in_round", [62, 90, 99])
def test_an_agent_that_is_started_again_stops_where_it_would_have(in_round: int) -> None:
    before = EarlyStopping(loss_of, 4, PATIENCE)
    for round_ in range(in_round):
        assert not before.has_ended(round_, before.observe(round_, np.array([float(round_)])))
    again = EarlyStopping(loss_of, 4, PATIENCE)
    again.restore(before.kept, is_over=before.is_over)
    assert stopped_in(again, 1000, start=in_round) == 100
    best = again.best(again.candidates())
    assert (best.round, best.params[0], best.is_kept) == (60, 60.0, True)


def test_a_patience_that_has_ended_has_ended_after_a_restart() -> None:
    before = EarlyStopping(loss_of, 4, PATIENCE)
    end = stopped_in(before, 1000)
    again = EarlyStopping(loss_of, 4, PATIENCE)
    again.restore(before.kept, is_over=before.is_over)
    assert again.has_ended(end, again.observe(end, np.array([float(end)])))


def test_an_agent_that_is_started_again_hears_of_others_losses_before_it_judges_by_them() -> None:
    before = EarlyStopping(loss_of, 4, PATIENCE)
    for round_ in range(95):
        before.observe(round_, np.array([float(round_)]))
    again = EarlyStopping(loss_of, 4, PATIENCE)
    again.restore(before.kept, is_over=False)
    misled = np.ones(again.n_tracked)
    misled[3] = 0.0  # as if all had been best in the round 15
    for round_, has_ended in ((93, False), (94, False), (95, True)):
        again.observe(round_, np.array([float(round_)]))
        assert again.has_ended(round_, misled) is has_ended


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({}, "needs rows for validation"),
        ({"data.split": {"test": 0.2}}, "needs rows for validation"),
        ({"data.split": {"validation": 0.2}, "algorithm.tolerance": 0.0}, "needs an algorithm.tolerance above 0"),
    ],
)
def test_a_patience_that_cannot_end_is_refused(changes: dict[str, object], what: str) -> None:
    settings = settings_of({"data.source": "t.csv", "algorithm.patience": 50, **changes}, "agent.toml")
    with pytest.raises(ConfigError, match=f"algorithm.patience: {what}"):
        training_options(settings, "regression")


def test_all_agents_must_have_the_same_patience() -> None:
    values = {"data.source": "t.csv", "data.split": {"validation": 0.2}}
    patient = training_options(settings_of({**values, "algorithm.patience": 50}, "agent.toml"), "regression")
    assert patient.agreed["patience"] == "50"
    assert "patience" not in training_options(settings_of(values, "agent.toml"), "regression").agreed
