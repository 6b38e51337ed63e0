"""The measurement: parameters come together, and sums at these parameters are averaged until they stand."""

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from p2pnet.protocol.core.effects import Close, Conclude, Measure, Notify, Send
from p2pnet.protocol.core.events import DeadlineReached, Measured, MessageReceived, PeerConnected
from p2pnet.protocol.core.notices import InMeasurement, LinkOpened, MetricsUnsettled
from p2pnet.protocol.core.types import MEASUREMENT, Array
from p2pnet.protocol.messages.wire import is_training_message
from p2pnet.protocol.rounds import measurement
from p2pnet.protocol.rounds.measurement import MeasurementEffect, MeasurementMachine
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions

Sums = Callable[[Array], Array]
OPTIONS = RoundOptions(max_rounds=100, max_diameter=2, expected_neighbors=1)


class Pair:
    """Two machines, and what they have asked for and come to."""

    def __init__(self, params: dict[str, Array], sums: dict[str, Sums], loss_rate: float = 0.0) -> None:
        self.machines = {
            name: MeasurementMachine(
                MEASUREMENT, Identity(name, name, 1, {}, ""), OPTIONS, start, len(sums[name](start))
            )
            for name, start in params.items()
        }
        self.sums = sums
        self.loss_rate, self.rng = loss_rate, Random(1)  # noqa: S311
        self.now = 0.0
        self.n_measured = dict.fromkeys(params, 0)
        self.concluded: dict[str, Conclude] = {}
        self.notices: list[object] = []
        self.closed: set[str] = set()

    def run(self, until_s: float) -> None:
        names = list(self.machines)
        for name in names:
            self.perform(name, self.machines[name].start(self.now))
        for name, other in zip(names, names[::-1], strict=True):
            self.perform(name, self.machines[name].handle(PeerConnected(other), self.now))
        while self.now < until_s and len(self.closed) < len(names):
            deadlines = [machine.next_deadline() for machine in self.machines.values()]
            self.now = max(self.now, min(time for time in deadlines if time is not None))
            for name, machine in self.machines.items():
                self.perform(name, machine.handle(DeadlineReached(), self.now))

    def perform(self, name: str, effects: list[MeasurementEffect]) -> None:
        machine = self.machines[name]
        for effect in effects:
            match effect:
                case Measure(stage, round_, params):
                    self.n_measured[name] += 1
                    self.perform(name, machine.handle(Measured(stage, round_, self.sums[name](params)), self.now))
                case Send(peer, message) if is_training_message(message) and self.rng.random() >= self.loss_rate:
                    self.perform(peer, self.machines[peer].handle(MessageReceived(name, message), self.now))
                case Conclude():
                    self.concluded[name] = effect
                case Notify(notice):
                    self.notices.append(notice)
                case Close():
                    self.closed.add(name)
                case _:
                    pass


PARAMS = {"ann": np.array([1.0, 2.0]), "bob": np.array([1.5, 1.0])}
SUMS: dict[str, Sums] = {
    "ann": lambda w: np.array([10.0, float(w @ w), 0.0]),
    "bob": lambda w: np.array([3.0, float(np.exp(w).sum()), 0.0]),
}


@pytest.mark.parametrize("loss_rate", [0.0, 0.3])
def test_both_have_the_mean_of_their_sums_at_the_same_parameters(loss_rate: float) -> None:
    pair = Pair(PARAMS, SUMS, loss_rate)
    pair.run(300.0)
    # Without loss they meet in the middle, else somewhere between.
    meeting = pair.concluded["ann"].params if loss_rate else (PARAMS["ann"] + PARAMS["bob"]) / 2
    assert 1.0 < meeting[0] < 1.5
    for conclusion in pair.concluded.values():
        np.testing.assert_allclose(conclusion.params, meeting, rtol=1e-11)
        np.testing.assert_allclose(conclusion.sums, (SUMS["ann"](meeting) + SUMS["bob"](meeting)) / 2, rtol=1e-10)
    assert len({conclusion.round for conclusion in pair.concluded.values()}) == 1
    assert set(pair.concluded) == pair.closed == {"ann", "bob"}
    assert InMeasurement(LinkOpened("ann")) in pair.notices


@pytest.mark.parametrize("loss_rate", [0.0, 0.3])
def test_a_count_that_falls_to_nothing_settles_though_rounding_leaves_something_of_it(loss_rate: float) -> None:
    edges = np.linspace(1.0, 1.5, 41)[:, None]
    scores = np.array([0.103, -0.204, 0.051, 0.152])

    def binned(w: Array) -> Array:
        """Rows by bins of scores, which follow the parameters."""
        is_in = (w[0] + scores >= edges[:-1]) & (w[0] + scores < edges[1:])
        return np.asarray(is_in.sum(axis=1), dtype=np.float64)

    sums: dict[str, Sums] = {"ann": binned, "bob": binned}
    pair = Pair(PARAMS, sums, loss_rate)
    pair.run(300.0)
    for conclusion in pair.concluded.values():
        np.testing.assert_allclose(conclusion.sums, binned(conclusion.params), atol=1e-12)
    assert set(pair.concluded) == {"ann", "bob"}


def test_rows_are_measured_only_while_parameters_move() -> None:
    pair = Pair(PARAMS, SUMS)
    pair.run(300.0)
    assert pair.n_measured["ann"] < pair.concluded["ann"].round * 0.8
    same = Pair({"ann": PARAMS["ann"], "bob": PARAMS["ann"]}, SUMS)
    same.run(300.0)
    assert same.n_measured == {"ann": 1, "bob": 1}


def test_an_agent_without_rows_has_the_metrics_of_the_others() -> None:
    pair = Pair(PARAMS, {**SUMS, "bob": lambda _: np.zeros(3)})
    pair.run(300.0)
    mean = (PARAMS["ann"] + PARAMS["bob"]) / 2
    np.testing.assert_allclose(pair.concluded["bob"].sums, SUMS["ann"](mean) / 2, rtol=1e-10)


def test_metrics_that_do_not_settle_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "MAX_ROUNDS", 60)
    rng = np.random.default_rng(0)
    restless: Sums = lambda _: rng.random(3)  # noqa: E731
    monkeypatch.setattr(measurement, "LEAST_MOVE", -1.0)
    pair = Pair(PARAMS, {"ann": restless, "bob": restless})
    pair.run(300.0)
    assert not pair.concluded
    assert pair.notices.count(MetricsUnsettled(60)) == 2
    assert pair.closed == {"ann", "bob"}
