"""Bootstrap: an agent waits for its neighbors, or takes over the parameters of a neighbor that trains already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias, final

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.effects import Notify, Send
from p2pnet.protocol.core.notices import NoNeighborAnswered
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.links.ledger import norm
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Ready, StateReply, StateRequest, Witness
from p2pnet.protocol.rounds.corroboration import Corroboration, left_by_two, reached_by_two
from p2pnet.protocol.rounds.exchange import Exchange
from p2pnet.protocol.rounds.neighbor import Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.state import RoundState
from p2pnet.protocol.rounds.timing import BYTES_OF_A_NUMBER, Timing
from p2pnet.protocol.rounds.witnesses import Witnesses

BootstrapEffect: TypeAlias = Send | Notify

N_STATES = 2
"""The neighbors that are asked for their states, where there are as many."""

FIRST_PATIENCE = 2
"""How long a neighbor that is asked for the first time may take, in shortest resend timeouts."""

MAX_ASKED = 6
"""A neighbor that says that it trains, and does not give its state so many times, keeps no agent from beginning."""

MAX_STATE_RATIO = 1e6
"""Of the distance of a neighbor's parameters from this agent's, to the size of these."""


@final
class Bootstrap:
    """Brings an agent to its first round.

    The agent announces itself once as many links are open as expected, or the start timeout is over, and begins once
    all neighbors have announced themselves too, and no connected peer's link is about to open: the peer may have
    trained already. Where a neighbor has, the agent requests the states of two neighbors instead; a neighbor that does
    not answer in time is asked again after all others.

    An agent that has trained already, in this process or in the one that it goes on from, has a state of its own, and
    requests none unless all its neighbors have ended in a later round. It begins at once where a neighbor is in its
    rounds.
    """

    def __init__(
        self,
        state: RoundState,
        neighborhood: Neighborhood,
        exchange: Exchange,
        timing: Timing,
        expected_neighbors: int,
        max_rounds: int,
        settling_s: float = 0.0,
    ) -> None:
        """`settling_s` is how long no link must have opened before agents begin together."""
        self._max_rounds = max_rounds
        self._settling_s = settling_s
        self._links: list[Link] = []
        self._linked_at = 0.0
        self._at = state
        self._neighborhood = neighborhood
        self._exchange = exchange
        self._timing = timing
        self._expected_neighbors = expected_neighbors
        self._start_by = float("inf")
        self._asked_at: dict[PeerId, float] = {}
        """When neighbors were last asked for their parameters; who was asked last comes last."""
        self._n_asked: Counter[PeerId] = Counter()
        """How often neighbors were asked since they last answered."""
        self._running_since: float | None = None
        """Since when a neighbor has been known to be in its rounds."""
        self._witnesses = Witnesses(neighborhood.identity.peer)
        self._states: Corroboration[StateReply] = Corroboration()
        """The answers of neighbors that were asked."""
        self.state: StateReply | None = None
        """The state to take over, once there is one that is believed."""
        self.has_announced = False
        self.deadline: float | None = None
        self._has_complained = False

    def begin(self, now: float) -> None:
        """Start the clock of the start timeout: the agent has its first gradient, and may announce itself."""
        self.deadline = self._start_by = now + self._timing.start_timeout_s
        self._asked_at, self._running_since = {}, None
        self._states.keep(())
        self.state = None

    def advance(self, now: float) -> tuple[list[BootstrapEffect], bool]:
        """Return the messages to send now, and whether to begin the first round."""
        neighbors = self._neighborhood.open()
        if self.is_left_behind(now) if self._at.has_trained else self._is_one_to_ask():
            return [*self._join(now), *self._pass_on()], False
        self._running_since = None
        self.deadline = self._start_by
        settled_at = self._settled_at([link for _, link in neighbors], now)
        if now < settled_at < self._start_by:
            self.deadline = settled_at
        is_late = now >= self._start_by or (self._at.has_trained and any(n.has_begun for n, _ in neighbors))
        effects = self._pass_on()
        if not self.has_announced and (len(neighbors) >= self._expected_neighbors or (is_late and neighbors)):
            effects += self.announce(now)
        if self.has_announced and neighbors and (is_late or (now >= settled_at and self._are_all_ready(now))):
            return effects, True
        if is_late and self._at.announced_round >= 0:
            # Those that have left this agent behind are gone: it goes on as any whose neighbors are.
            return effects, True
        if is_late:
            self.deadline = self._start_by = now + self._timing.start_timeout_s
            effects += self._notify_once()
        return effects, False

    def _settled_at(self, links: list[Link], now: float) -> float:
        """When no link will have opened for as long as it takes to know that no other is about to."""
        if links != self._links:
            self._links, self._linked_at = links, now
        return self._linked_at + self._settling_s

    def _are_all_ready(self, now: float) -> bool:
        return all(
            neighbor.is_ready if neighbor.is_open else not (neighbor.awaits_hello and now < neighbor.opens_by)
            for neighbor in self._neighborhood
        )

    def _notify_once(self) -> list[BootstrapEffect]:
        """Report once that no neighbor answers. The agent goes on waiting: agents that have finished may be started
        again. One that refuses, or says Hello and opens no link, has answered: why there is no link is told elsewhere.
        """
        if self._has_complained or self._neighborhood.n_refusals or self._neighborhood.has_heard:
            return []
        self._has_complained = True
        return [Notify(NoNeighborAnswered(self._timing.start_timeout_s))]

    def is_left_behind(self, now: float) -> bool:
        """Whether all neighbors have ended in a later round than this agent's, and one of them may give its result.

        Alone, the agent would leave their solution for that of its own samples.
        """
        return self._at.round < self._end(now) and self._is_one_to_ask()

    def _end(self, now: float) -> int:
        """The round that all neighbors have ended with, where there are two, or the only one; else −1.

        Training has no more than its rounds, whatever the only one says.
        """
        ended_with = self._neighborhood.ended_with(now)
        return -1 if ended_with is None else min(ended_with, self._last_possible)

    @property
    def _last_possible(self) -> int:
        """The last round that there can be: of the latest epoch that a neighbor is in."""
        begun = [neighbor.first_round for neighbor, _ in self._neighborhood.open()]
        return max([self._at.first_round, *begun]) + self._max_rounds

    def _running(self) -> list[tuple[Neighbor, Link]]:
        """The neighbors that have parameters of a round, and the links."""
        return [(neighbor, link) for neighbor, link in self._neighborhood.open() if neighbor.round >= 0]

    def _is_one_to_ask(self) -> bool:
        """Whether a neighbor may give its state, or is the only one, and has it."""
        running = self._running()
        is_only_one = bool(running) and len(self._neighborhood.open()) == 1
        return is_only_one or any(not self._is_mute(neighbor.peer) for neighbor, _ in running)

    def _join(self, now: float) -> list[BootstrapEffect]:
        """Ask two neighbors for their states, and choose the one to take over, in `state`."""
        running, n_linked = self._running(), len(self._neighborhood.open())
        self._running_since = now if self._running_since is None else self._running_since
        self._states.keep({neighbor.peer for neighbor, _ in running})
        effects = self._ask(running, now)
        states = list(self._states.words.values())
        waited_until = self._running_since + self._timing.state_timeout_s
        n_answering = sum(not self._is_mute(neighbor.peer) for neighbor, _ in running)
        is_only_one = n_linked == 1 and self._expected_neighbors <= 1
        witness = None
        if len(states) == 1:
            ((peer, _),) = self._states.words.items()
            witness = self._witnesses.of_another(peer)
        if len(states) > 1:
            self.state = self._seconded(states)
        elif witness is not None:
            self.state = self._witnessed(states[0], witness)
        elif states and n_answering < N_STATES and (is_only_one or now >= waited_until):
            self.state = states[0] if n_linked == len(running) else self._halfway(states[0])
        else:
            due = [waited_until, *(self._asked_until(peer) for peer in self._asked_at.keys() - self._states.words)]
            self.deadline = min((at for at in due if at > now), default=now + self._timing.state_timeout_s)
        if self.state is not None:
            # Where two have ended, one that names an earlier round does not begin training again.
            self.state = replace(self.state, round=max(self.state.round, self._end(now)))
        return effects

    def _is_mute(self, peer: PeerId) -> bool:
        """Whether a neighbor has been asked several times, and has not given a state that can be."""
        return self._n_asked[peer] > MAX_ASKED and peer not in self._states.words

    def _ask(self, running: list[tuple[Neighbor, Link]], now: float) -> list[BootstrapEffect]:
        """Requests to those asked longest ago, so that two may still answer."""
        peers = {neighbor.peer for neighbor, _ in running}
        waiting = {peer for peer in self._asked_at if peer in peers and now < self._asked_until(peer)}
        n_missing = N_STATES - len(waiting | self._states.words.keys())
        rank = {peer: place for place, peer in enumerate(self._asked_at)}
        free = [pair for pair in running if pair[0].peer not in waiting | self._states.words.keys()]
        chosen = sorted(free, key=lambda pair: rank.get(pair[0].peer, -1))[: max(n_missing, 0)]
        for neighbor, _ in chosen:
            self._asked_at.pop(neighbor.peer, None)
            self._asked_at[neighbor.peer] = now
            self._n_asked[neighbor.peer] += 1
        return [Send(neighbor.peer, StateRequest(link.link_id)) for neighbor, link in chosen]

    def _asked_until(self, peer: PeerId) -> float:
        """When a neighbor that was asked may be asked again.

        The first request is most likely lost, the later ones late: parameters may be large.
        """
        floor_s = self._timing.shortest_resend_s(BYTES_OF_A_NUMBER * self._at.params.size)
        patience_s = FIRST_PATIENCE * floor_s * 2.0 ** min(self._n_asked[peer] - 1, MAX_ASKED)
        return self._asked_at[peer] + min(patience_s, max(self._timing.state_timeout_s, floor_s))

    def _seconded(self, states: Sequence[StateReply]) -> StateReply:
        """The state of several: the round that two have got to, the last round that two name, and the parameters that
        are nearest to those of this agent, with which all begin: nearer than the truth does no harm.
        """
        start = self._at.params
        nearest = min(states, key=lambda state: norm(state.params - start))
        stop_round = left_by_two(state.stop_round for state in states if state.stop_round >= 0)
        round_ = reached_by_two(state.round for state in states)
        return replace(nearest, round=round_ or 0, stop_round=-1 if stop_round is None else stop_round)

    @staticmethod
    def _witnessed(state: StateReply, witness: Witness) -> StateReply:
        """The state of one neighbor, as far as a witness confirms it."""
        is_named = state.stop_round >= 0 and witness.stop_round >= 0
        stop_round = max(state.stop_round, witness.stop_round) if is_named else -1
        return replace(state, round=min(state.round, max(witness.round, 0)), stop_round=stop_round)

    def _pass_on(self) -> list[BootstrapEffect]:
        """Tell neighbors that have not begun either of those that have, as far as this agent has heard."""
        neighbors = self._neighborhood.open()
        listeners = [(neighbor, link) for neighbor, link in neighbors if neighbor.round < 0]
        words = list(self._states.words.items())
        peer, state = words[0] if len(words) == 1 else ("", None)
        return [*self._witnesses.pass_on(peer, state, listeners)]

    def witness_received(self, peer: PeerId, witness: Witness) -> None:
        """Keep what another agent that has not begun has heard."""
        self._witnesses.hear(peer, witness)

    def _halfway(self, state: StateReply) -> StateReply:
        """What is believed of a neighbor that trains alone, as it says, among others that have not begun."""
        return replace(
            state,
            round=min(state.round, self._at.first_round + self._max_rounds // 2),
            stop_round=-1,
            params=self._at.params,
        )

    def state_received(self, peer: PeerId, state: StateReply) -> None:
        """Keep the state of a peer that was asked, and ignore one that was not.

        ProtocolError for a state that cannot be; the peer is not counted on any more.
        """
        if peer not in self._asked_at:
            return
        start = self._at.params
        reason = ""
        if state.round > self._last_possible:
            reason = f"StateReply.round: {state.round}, and training has {self._last_possible} rounds at most"
        elif norm(state.params - start) > MAX_STATE_RATIO * max(1.0, norm(start)):
            reason = "StateReply.params: far from anything that training leads to"
        if reason:
            self._n_asked[peer] += MAX_ASKED
            raise ProtocolError(reason)
        self._n_asked.pop(peer, None)
        self._states.hear(peer, state)

    def announce(self, now: float) -> list[Send]:
        """Announce to the neighbors that this agent takes part in the rounds from now on."""
        self.has_announced = True
        neighbors = self._neighborhood.open()
        self._exchange.announced_degree = len(neighbors)
        return [self.ready(neighbor, link, now) for neighbor, link in neighbors]

    def ready(self, neighbor: Neighbor, link: Link, now: float) -> Send:
        """The Ready for a neighbor; it is resent until the neighbor's first share comes."""
        neighbor.resend_at = now + self._timing.resend_s
        degree = max(self._exchange.announced_degree, 1)
        round_ = max(self._at.announced_round, self._at.trained_round)
        return Send(neighbor.peer, Ready(link.link_id, degree, round_))
