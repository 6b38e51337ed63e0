"""The parts of a round machine and their assembly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import Array, LinkId
from p2pnet.protocol.links.conservation import AgentLedger, LinkLedger
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.links.masks import Masking, Masks
from p2pnet.protocol.links.tracker import Tracker, signs_of
from p2pnet.protocol.messages.training import CODED, CODED_SHARES, CURVATURE, MASKS
from p2pnet.protocol.rounds.auditing import Auditing
from p2pnet.protocol.rounds.barrier import Barrier
from p2pnet.protocol.rounds.bootstrap import Bootstrap
from p2pnet.protocol.rounds.bounds import MassBounds
from p2pnet.protocol.rounds.clipping import Clipping
from p2pnet.protocol.rounds.convictions import Convictions
from p2pnet.protocol.rounds.ending import Ending
from p2pnet.protocol.rounds.epochs import Epochs
from p2pnet.protocol.rounds.exchange import Exchange
from p2pnet.protocol.rounds.excuses import Excuses
from p2pnet.protocol.rounds.handlers import MessageHandlers
from p2pnet.protocol.rounds.handshake import Handshake
from p2pnet.protocol.rounds.last_round import LastRound
from p2pnet.protocol.rounds.liveness import Liveness
from p2pnet.protocol.rounds.neighbor import Identity, Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.schedule import N_LISTENING_ROUNDS
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.protocol.rounds.state import RoundState
from p2pnet.protocol.rounds.suspicions import Suspicions
from p2pnet.protocol.rounds.termination import Stationarity, TerminationDetector

BYTES_AS_LONG_AS_CODING = 16
"""A slow connection takes as long for so many bytes as a slow machine for a number that is coded and read."""


@final
@dataclass(frozen=True, slots=True)
class RoundParts:
    """The parts of one round machine."""

    state: RoundState
    neighborhood: Neighborhood
    barrier: Barrier
    exchange: Exchange
    bootstrap: Bootstrap
    stationarity: Stationarity
    termination: TerminationDetector
    epochs: Epochs
    ending: Ending
    liveness: Liveness
    handlers: MessageHandlers
    auditing: Auditing
    masks: Masks | None
    """None where no link is masked."""

    def begin_account(self, account: int, masking: Masking | None) -> None:
        """Begin a new account on all links: what was moved so far belongs to a vector that is no longer tracked."""
        self.state.account, self.state.masking = account, masking
        for neighbor in self.neighborhood:
            if neighbor.link is not None:
                neighbor.link.begin_account(account)
                _mask(neighbor.link, neighbor, self.masks, masking)
        if masking is not None:
            self.exchange.tracker.expect(masking.expected)
        self.exchange.tracker.begin_anew()

    def change_samples(self, why: str) -> None:
        """Have other samples: what neighbors have shown says nothing of their worth for these."""
        self.epochs.learn_of_change(why)
        self.exchange.begin_epoch()

    def follow_epoch(self, now: float) -> None:
        """Enter an epoch that a neighbor has begun while this agent was in its rounds."""
        if self.epochs.follow(now):
            self.exchange.begin_epoch()

    def begin_epoch(self, now: float) -> None:
        """Begin an epoch where training has finished, with nothing of the last one but parameters and trackers."""
        self.epochs.begin(now)
        for neighbor in self.neighborhood:
            neighbor.finished_sequence, neighbor.proximal_weight, neighbor.n_missed = None, 0.0, 0
            if neighbor.link is not None:
                neighbor.link.mass_flow = neighbor.link.params_flow = None
        self.exchange.begin_epoch()
        self.state.n_listening_rounds = N_LISTENING_ROUNDS

    def snapshot(self) -> RoundSnapshot | None:
        """Where training stands; None while no round has begun."""
        at = self.state
        if not at.has_trained:
            return None
        return RoundSnapshot(
            at.round,
            at.params,
            self.stationarity.first_residual,
            at.is_converged,
            epoch=at.epoch,
            first_round=at.first_round,
            is_current=self.epochs.is_current,
        )

    def ledger(self) -> AgentLedger:
        """The agent's ledger: own vector, mass present, and the totals of its links."""
        tracker, links = self.exchange.tracker, self.neighborhood.links()
        return AgentLedger(
            agent=self.neighborhood.identity.peer,
            own=_joined(tracker.own, tracker.own_curvature),
            mass=_joined(tracker.exact_mass(links), tracker.curvature_mass(links)),
            links=tuple(
                LinkLedger(
                    neighbor.peer,
                    link.link_id,
                    _joined(link.sent, link.curvature_sent),
                    _joined(link.received, link.curvature_received),
                    link.mask,
                    link.is_net,
                )
                for neighbor in self.neighborhood
                if (link := neighbor.link) is not None
            ),
        )


def _joined(sums: Array, curvature: Array) -> Array:
    """Both in one vector; the sums themselves where there is no curvature."""
    return np.append(sums, curvature) if curvature.size else sums


def _mask(link: Link, neighbor: Neighbor, masks: Masks | None, masking: Masking | None) -> None:
    """Mask the link if its other end does the same, and give nothing over it where that takes no part."""
    is_masking = MASKS in neighbor.capabilities
    if masks is not None and masking is not None and is_masking:
        link.mask_with(masks.of_link(neighbor.peer, link.link_id, masking))
    link.is_shared = masking is None or is_masking or not masking.is_needed


def assemble(
    identity: Identity,
    options: RoundOptions,
    params: Array,
    n_sums: int | None = None,
    resumed: RoundSnapshot | None = None,
    masks: Masks | None = None,
) -> RoundParts:
    """Build the parts of one agent's round machine, with these initial parameters or those of the snapshot, and with
    this number of tracked sums, or as many as there are parameters.
    """
    timing = options.timing
    state = RoundState(params)
    tracker = Tracker(params.size if n_sums is None else n_sums, signs_of(identity.peer, options.n_signs), params.dtype)
    stationarity = Stationarity(options.tolerance)
    termination = TerminationDetector(options.max_diameter)
    if resumed is not None:
        state.enter(resumed.round, resumed.params)
        state.epoch, state.first_round = resumed.epoch, resumed.first_round
        termination.first_round = resumed.first_round if resumed.epoch else -1
        stationarity.hear(resumed.first_residual)
        if resumed.is_converged:
            termination.trust(resumed.round)

    n_params, dtype = params.size, params.dtype

    def make_link(neighbor: Neighbor, link_id: LinkId) -> Link:
        precision = CODED if options.is_coded and CODED_SHARES in neighbor.capabilities else options.precision
        n_bytes = (BYTES_AS_LONG_AS_CODING if precision == CODED else precision // 8) * (tracker.own.size + n_params)
        timer = ResendTimer(timing.shortest_resend_s(n_bytes), timing.first_resend_s(n_bytes))
        has_curvature = CURVATURE in identity.capabilities and CURVATURE in neighbor.capabilities
        size = tracker.own.size
        is_single = dtype == np.float32 and CODED_SHARES not in neighbor.capabilities
        link = Link(
            *(link_id, size, n_params, precision, timer, state.account),
            has_curvature=has_curvature,
            is_single=is_single,
        )
        _mask(link, neighbor, masks, state.masking)
        return link

    neighborhood = Neighborhood(identity, make_link, timing.suspect_limit_s, options.names)
    barrier = Barrier(neighborhood, options.mixing)
    auditing = Auditing()
    exchange = Exchange(
        neighborhood,
        barrier,
        options.mixing,
        tracker,
        stationarity,
        termination,
        n_params=params.size,
        momentum=options.momentum,
        max_ratio=options.max_ratio,
        suspicions=Suspicions(
            Excuses(may_change=options.keeps_running),
            bounds=MassBounds(params.size, is_resumed=resumed is not None) if options.is_bounded else None,
            clipping=Clipping(options.tolerance) if options.is_clipped else None,
            auditing=auditing if options.is_audited else None,
        ),
        is_asynchronous=timing.is_asynchronous,
    )
    bootstrap = Bootstrap(
        state,
        neighborhood,
        exchange,
        timing,
        options.expected_neighbors,
        options.max_rounds,
        options.settling_s,
    )
    epochs = Epochs(state, neighborhood, termination, timing, options.max_rounds)
    convictions = Convictions()
    handlers = MessageHandlers(
        state,
        neighborhood,
        Handshake(state, neighborhood, convictions),
        convictions,
        exchange,
        bootstrap,
        stationarity,
        termination,
        LastRound(neighborhood, termination),
        epochs,
        timing,
    )
    liveness = Liveness(neighborhood, timing)
    ending = Ending(neighborhood)
    return RoundParts(
        state,
        neighborhood,
        barrier,
        exchange,
        bootstrap,
        stationarity,
        termination,
        epochs,
        ending,
        liveness,
        handlers,
        auditing,
        masks,
    )
