"""What an agent holds against its neighbors: bounds of mass, radius of parameters, audits, and what it excuses."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final, final

from p2pnet.protocol.core.events import Audited
from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.types import Array, PeerId
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.tracker import Tracker
from p2pnet.protocol.rounds.auditing import Auditing
from p2pnet.protocol.rounds.bounds import MassBounds
from p2pnet.protocol.rounds.clipping import Clipping
from p2pnet.protocol.rounds.excuses import Excuses
from p2pnet.protocol.rounds.reach import Reach, have_as_many_samples

EXCUSABLE: Final = frozenset({CloseReason.TOO_MUCH_GRADIENT, CloseReason.TOO_MUCH_CURVATURE})
"""What samples that have changed may bring about; of samples themselves bounds admit as many as they may be."""


@final
class Suspicions:
    """Asks each of the judges that the settings call for, and excuses what they find where samples may have changed."""

    def __init__(
        self, excuses: Excuses, *, bounds: MassBounds | None, clipping: Clipping | None, auditing: Auditing | None
    ) -> None:
        self._excuses = excuses
        self._bounds = bounds
        self._clipping = clipping
        self.auditing = auditing
        self._reach = None if auditing is None else Reach()

    def begin_epoch(self) -> None:
        """Hold nothing against neighbors that move far now: something else is minimised."""
        self._excuses.begin_anew()
        self._begin_anew()

    def _begin_anew(self) -> None:
        if self._bounds is not None:
            self._bounds.begin_anew()
        if self._clipping is not None:
            self._clipping.begin_anew()
        if self.auditing is not None:
            self.auditing.begin_anew()
        if self._reach is not None:
            self._reach.begin_anew()

    def see_tracked(self, tracker: Tracker, links: Sequence[Link]) -> None:
        """Take in what is tracked in a round."""
        self._excuses.see_round()
        if self._reach is not None:
            self._reach.see_tracked(links, tracker.weight)
        if self._bounds is not None:
            self._bounds.see_own(tracker.own, tracker.mean_samples, links, tracker.weight, tracker.own_curvature)

    def know_own(self, *, is_typical: bool) -> None:
        """Know whether the agent's own targets look like the network's."""
        if self.auditing is not None:
            self.auditing.is_typical = is_typical

    def see_coming(self, tracker: Tracker, links: Sequence[Link]) -> None:
        """Take in what has come for a round."""
        if self.auditing is None or self._reach is None:
            return
        self.auditing.see_network(tracker, links)
        if self._reach.reach < math.inf and not (self.auditing.is_typical and have_as_many_samples(links)):
            self._reach.begin_anew()

    def step_from(self, params: Array) -> None:
        """Know the parameters of a local step."""
        if self._clipping is not None:
            self._clipping.step_from(params)
        if self._reach is not None:
            self._reach.step_from(params)

    def radius(self, round_: int, proposal: Array, links: Sequence[Link], tracker: Tracker) -> float:
        """How far from the proposal a neighbor's parameters count, for both ends of a link."""
        if self._reach is not None:
            self._reach.see_step(round_, proposal)
        if self._bounds is not None and round_ == 0:
            self._bounds.begin_together()
        return math.inf if self._clipping is None else self._clipping.begin_round(round_, proposal, links, tracker)

    @property
    def reach(self) -> float:
        """How far from the proposal a neighbor's parameters may be to be mixed at all."""
        return math.inf if self._reach is None else self._reach.reach

    def broken_by(self, peer: PeerId, link: Link) -> CloseReason | None:
        """The bound that the link breaks with its newest share, without an excuse; None where it keeps all."""
        if self._bounds is None:
            return None
        is_alike = self.auditing is not None and self.auditing.is_alike
        reason = self._bounds.broken_by(peer, link, is_alike=is_alike)
        if reason in EXCUSABLE and self._excuses.excused([peer]):
            self._bounds.excuse(is_alike=is_alike)
            if self.auditing is not None:
                self.auditing.begin_anew()
            reason = self._bounds.broken_by(peer, link)
        if reason is not None:
            self._convict([peer])
        return reason

    def far_off(self, distances: Mapping[PeerId, float]) -> set[PeerId]:
        """Those whose parameters have been too far off for too long."""
        found: set[PeerId] = set() if self._clipping is None else self._clipping.far_off(distances)
        if self._reach is not None:
            found |= self._reach.far_off(distances)
        if self._reach is not None and self.auditing is not None:
            self.auditing.leave_out(self._reach.unusual)
        if excused := self._excuses.excused(found):
            self._begin_anew()
        self._convict(found - excused)
        return found - excused

    def restored(self, params: Array) -> Array:
        """The parameters to go on from."""
        return params if self.auditing is None else self.auditing.restored(params)

    def judge(self, audited: Audited) -> list[PeerId]:
        """Those that are convicted by what was to be known, in the order of their ids."""
        if self.auditing is None:
            return []
        found = self.auditing.judge(audited)
        if excused := self._excuses.excused(found, may_have_changed=self.auditing.may_have_changed):
            self._begin_anew()
        self._convict(found - excused)
        return sorted(found - excused)

    def _convict(self, peers: Collection[PeerId]) -> None:
        """Let all judges know of whom one of them has convicted: when it comes back it is nobody new."""
        for peer in peers:
            if self._bounds is not None:
                self._bounds.convict(peer)
            if self.auditing is not None:
                self.auditing.convict(peer)
