"""Recording of a run in its state directory: history, model, ledger and result."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import final

import numpy as np

from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.base import Transport
from p2pnet.errors import TrainingError
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.training.model_file import ModelFile
from p2pnet.training.records import Result, RoundRecord


@final
class RunRecorder:
    """Writes history, model, ledger and result while the run goes on, so that little is lost when power fails."""

    def __init__(
        self, state: StateDirectory, log: logging.Logger, clock: Callable[[], float], *, is_resumed: bool = False
    ) -> None:
        """`clock` shows the seconds since the epoch; the history of a run that is resumed goes on."""
        self._state = state
        self._log = log
        self._clock = clock
        self._history = state.history
        self._first: RoundRecord | None = None
        self.latest: RoundRecord | None = None
        """The row of the last round that has begun."""
        self.test_metric_name = ""
        """What its test metric is."""
        self._has_begun = False
        self._is_going_on = is_resumed
        """Whether the history is one of an earlier process, and no row is of this one yet."""
        self._is_told_of_missing_rows = False
        self.saved_model: ModelFile | None = None
        """The model as it was saved last."""
        try:
            state.begin_history(is_resumed=is_resumed)
        except TrainingError as error:
            self._tell_of_missing_rows(error)

    @property
    def has_model(self) -> bool:
        """Whether there is a saved model, of this run or of an earlier one."""
        return (self._state.path / "model.npz").is_file()

    def keep(self, record: RoundRecord) -> None:
        """Append the round's row to the history."""
        self.latest = record
        if self._is_going_on:
            self._go_on(record.round)
        if record.round == 0:
            self._first = record  # its time is that of the start of training, still to come
            return
        if self._first is not None:
            self._log.info("joins the training in round %d", record.round)
            self._first = None
        self._append(record)
        self._log.debug("round %d: objective %.6g", record.round, record.objective_local)

    def begin(self) -> None:
        """Record the start of training, at its first local step."""
        if self._first is not None:
            self._log.info("training begins")
            self._append(replace(self._first, time_s=self._clock()))
            self._first = None

    def save_model(self, model: ModelFile) -> None:
        """Save the model unless this one is saved already; TrainingError where it cannot be written.

        Of a run in which nothing was trained no model is kept: there may be a better one of an earlier run.
        """
        if self._has_begun and not self._is_saved(model):
            self._state.save_model(model)
            saved, self.saved_model = self.saved_model, model
            if saved is None or saved.provenance.epoch != model.provenance.epoch:
                on_test = f"; on this agent's test samples {metrics_text(model.metrics)}" if model.metrics else ""
                self._log.info("the model is in %s%s", self._state.path / "model.npz", on_test)
            for part, metrics in model.network_metrics.items():
                self._log.info("on the rows of all agents for %s: %s", part, metrics_text(metrics))

    def _is_saved(self, model: ModelFile) -> bool:
        saved = self.saved_model
        if saved is None or model.network_metrics != saved.network_metrics:
            return False
        return np.array_equal(model.params, saved.params)

    def save_end(
        self,
        identity: Identity,
        rounds: RoundMachine | None,
        stopped_because: str,
        transport: Transport,
        n_messages_dropped: int,
        n_messages_refused: int,
    ) -> None:
        if rounds is not None:
            self._state.save_ledger(rounds.ledger())
        self._state.save_result(
            Result(
                agent=identity.name,
                public_key=identity.peer,
                rounds=0 if rounds is None else rounds.round,
                stopped_because=stopped_because,
                bytes_sent=transport.bytes_sent,
                bytes_received=transport.bytes_received,
                peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                n_messages_dropped=n_messages_dropped,
                n_rejected={str(refusal): n for refusal, n in transport.n_rejected.items()},
                n_messages_refused=n_messages_refused,
                test_metric_name=self.test_metric_name,
            )
        )

    def _go_on(self, round_: int) -> None:
        """Drop the rows of rounds after the checkpoint: they are gone through again."""
        self._is_going_on = False
        try:
            self._history.forget_from(round_)
        except TrainingError as error:
            self._tell_of_missing_rows(error)

    def _append(self, record: RoundRecord) -> None:
        """Append a row; a failure to write does not end the training."""
        self._has_begun = True
        try:
            self._history.append(record)
        except TrainingError as error:
            self._tell_of_missing_rows(error)

    def _tell_of_missing_rows(self, error: TrainingError) -> None:
        if not self._is_told_of_missing_rows:
            self._log.warning("%s; training goes on, without a row for each round", error)
        self._is_told_of_missing_rows = True


def metrics_text(metrics: Mapping[str, float]) -> str:
    """As people read them, without those of single classes."""
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if " of " not in name)
