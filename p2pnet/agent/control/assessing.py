"""The request `model`: what the parameters are like now, computed by the learner's thread when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, final

import numpy as np

from p2pnet.protocol.core.types import Array
from p2pnet.protocol.rounds.machine import RoundMachine
from p2pnet.training.assessment import Assessment
from p2pnet.training.training import Training


@final
class Assessing:
    """Answers at once with the latest assessment, and has the next one made where the parameters are others by now."""

    def __init__(self, do: Callable[[Callable[[], None]], None]) -> None:
        """`do` hands work to the learner's thread."""
        self._do = do
        self._latest: Assessment | None = None
        self._is_pending = False
        self._training: Training | None = None
        self._round = -1
        """Of the parameters that were last handed out."""

    def ask(self, training: Training | None, rounds: RoundMachine | None) -> Mapping[str, Any]:
        """The latest assessment, whose round says of which parameters it is; None while there is none."""
        is_other = training is not self._training or (rounds is not None and rounds.round != self._round)
        if training is not None and rounds is not None and is_other and not self._is_pending:
            self._training, self._round, self._is_pending = training, rounds.round, True
            self._do(partial(self._make, training, rounds.round, rounds.params))
        return {"assessment": None if self._latest is None else asdict(self._latest)}

    def _make(self, training: Training, round_: int, params: Array) -> None:
        self._latest = training.assess(round_, training.learner.feasible(params).astype(np.float64, copy=False))
        self._is_pending = False
