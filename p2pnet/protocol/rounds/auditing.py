"""Auditing."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from p2pnet.protocol.core.effects import Audit
from p2pnet.protocol.core.events import Audited
from p2pnet.protocol.core.types import Array, PeerId
from p2pnet.protocol.links.link import norm

FIRST_AUDITS: Final = 12
FAR: Final = 0.5
RATE: Final = 0.1
MAX_MEAN: Final = 0.95
MAX_MEAN_ALIKE: Final = 0.5
REACH: Final = 12.0
REACH_ALIKE: Final = 5.0
MAX_STRIKES: Final = 6.0
REACH_FADING: Final = 0.9
GROSS: Final = 2.0
USELESS: Final = 0.5
ALIKE: Final = 0.2
PART: Final = 0.7
FADING: Final = 0.993
TINY_PART: Final = 0.02

STR: list = []
FARS: list = []

@dataclass(slots=True)
class _Record:
    loss: float = math.inf
    mean: float = 0.0
    strikes: float = 0.0
    audited: int = -1


@final
class Auditing:
    def __init__(self) -> None:
        self._asked: Audit | None = None
        self._is_far: frozenset[PeerId] = frozenset()
        self._n_audits = 0
        self._size = 0.0
        self._usual = 0.0
        self._largest = 0.0
        self._best = math.inf
        self._reach = 0.0
        self._alike = True
        self._records: dict[PeerId, _Record] = {}

    def begin_anew(self) -> None:
        self.__init__()

    @property
    def is_waiting(self) -> bool:
        return self._asked is not None

    @property
    def is_alike(self) -> bool:
        return self._n_audits >= FIRST_AUDITS and self._alike

    def before_mixing(self, round_: int, own: Array, coming: Mapping[PeerId, Array]) -> Audit | None:
        self._size = max(FADING * self._size, norm(own))
        if os.environ.get('DBG') and self._n_audits>=12: FARS.extend([(norm(params-own)/self._size, norm(params-own)/max(self._reach,1e-9), round_) for params in coming.values()])
        distances = {peer: norm(params - own) for peer, params in coming.items()}
        far = {peer: coming[peer] for peer, distance in distances.items() if not distance <= FAR * self._size}
        self._is_jump = {peer: not distances[peer] <= (REACH_ALIKE if self.is_alike else REACH) * self._reach for peer in far}
        near = max((distance for peer, distance in distances.items() if not self._is_jump.get(peer)), default=0.0)
        self._reach = max(REACH_FADING * self._reach, near)
        if self._n_audits < FIRST_AUDITS or len(coming) < 2:
            return None
        return self._ask(round_, own, far, is_far=True)

    def after_mixing(self, round_: int, own: Array, latest: Mapping[PeerId, Array]) -> Audit | None:
        if len(latest) < 2:
            return None
        if self._n_audits < FIRST_AUDITS:
            return self._ask(round_, own, latest)
        records = self._records
        others = [peer for peer in latest if peer not in records or records[peer].audited < round_]
        if not others:
            return None
        next_ = min(others, key=lambda peer: records[peer].audited if peer in records else -1)
        worst = max(others, key=lambda peer: records[peer].mean if peer in records else 0.0)
        chosen = {next_} | ({worst} if worst in records and records[worst].mean > 0.3 else set())
        return self._ask(round_, own, {peer: latest[peer] for peer in chosen})

    def _ask(self, round_: int, own: Array, others: Mapping[PeerId, Array], *, is_far: bool = False) -> Audit | None:
        if not others:
            return None
        self._is_far = frozenset(others) if is_far else frozenset()
        self._asked = Audit(round_, own, others)
        return self._asked

    def judge(self, audited: Audited) -> set[PeerId]:
        asked, self._asked = self._asked, None
        if asked is None or audited.round != asked.round or not math.isfinite(audited.own) or not audited.others:
            return set()
        self._n_audits += 1
        for peer, loss in audited.others.items():
            record = self._records.setdefault(peer, _Record())
            record.loss = loss if math.isfinite(loss) else math.inf
            record.audited = audited.round
        losses = {peer: r.loss for peer, r in self._records.items() if r.audited > audited.round - 24}
        best = min([audited.own, *losses.values()])
        # Once the agent knows what is usual, one neighbor alone moves it no more.
        place = len(losses) // 2 if self._n_audits <= FIRST_AUDITS else (len(losses) - 1) // 2
        excess = sorted(losses.values())[place] - best
        self._best = min(self._best, audited.own)
        usual = min(max(excess, audited.own - self._best), audited.first)
        self._usual = max(FADING * self._usual, usual if len(losses) > 1 else 0.0)
        self._largest = max(self._largest, self._usual)
        self._alike = self._largest < ALIKE * audited.first
        return {peer for peer in audited.others if self._is_convicted(peer, audited, losses)}

    def _is_convicted(self, peer: PeerId, audited: Audited, losses: Mapping[PeerId, float]) -> bool:
        record = self._records[peer]
        best = min([audited.own, *(loss for other, loss in losses.items() if other != peer)])
        q = (record.loss - best) / (abs(best) + TINY_PART * abs(audited.first) + PART * self._usual)
        record.mean += RATE * (max(-1.0, min(q, 1.0)) - record.mean)
        is_useless = record.loss - best > USELESS * (audited.first - best)
        is_far = peer in self._is_far
        is_gross = is_far and (self._is_jump[peer] and (is_useless or (q > GROSS and self.is_alike)))
        record.strikes = record.strikes + 1.0 if is_far and is_useless else max(record.strikes - 0.5, 0.0)
        STR.append(record.strikes)
        is_gross = is_gross or record.strikes > MAX_STRIKES
        if record.mean > (MAX_MEAN_ALIKE if self.is_alike else MAX_MEAN) or is_gross:
            del self._records[peer]
            return True
        return False
