"""Two processes with one key are told from one that is restarted, whose old messages come late, or whose clock is set
back.
"""

import numpy as np

from p2pnet.protocol.core.effects import Notify
from p2pnet.protocol.core.notices import KeyInUseTwice
from p2pnet.protocol.core.timers import ResendTimer
from p2pnet.protocol.core.types import LinkId, Nonce
from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Hello
from p2pnet.protocol.rounds.convictions import Convictions
from p2pnet.protocol.rounds.duplicate_keys import MAX_RELAPSES, WINDOW_S, DuplicateKeyDetector
from p2pnet.protocol.rounds.handshake import Handshake
from p2pnet.protocol.rounds.neighbor import Identity, Neighbor
from p2pnet.protocol.rounds.neighborhood import Neighborhood
from p2pnet.protocol.rounds.state import RoundState

EARLIER, LATER = 1000, 1002
IN_TURNS = [LATER, *[EARLIER, LATER] * (MAX_RELAPSES + 3)]


def hello(incarnation: int, name: str = "ann") -> Hello:
    return Hello(Nonce(incarnation, 1), None, {}, name, "", 0, False)


def warnings(incarnations: list[int], interval_s: float = 1.0, peer: str = "key") -> list[Notify]:
    """What is said of Hellos that come one after the other."""
    detector = DuplicateKeyDetector()
    return [
        notify
        for k, incarnation in enumerate(incarnations)
        for notify in detector.hello_received(peer, hello(incarnation, f"ann-{incarnation}"), k * interval_s)
    ]


def test_two_that_speak_in_turns_are_one_warning_with_both_names() -> None:
    assert warnings(IN_TURNS) == [Notify(KeyInUseTwice("key", ("ann-1000", "ann-1002")))]


def test_restarts_and_what_comes_late_of_the_life_before_are_not_two_processes() -> None:
    assert warnings(list(range(EARLIER, EARLIER + 100, 2))) == []
    assert warnings([EARLIER, LATER] + [EARLIER] * 100) == []  # its clock was set back
    assert warnings([LATER, *[EARLIER, LATER] * MAX_RELAPSES]) == []
    assert warnings(IN_TURNS, interval_s=WINDOW_S / 2) == []


def test_the_two_stages_of_one_process_are_not_two_processes() -> None:
    assert warnings([LATER, *[LATER - 1, LATER] * 100]) == []


def test_a_neighborhood_tells_of_it_though_it_drops_what_the_earlier_one_says() -> None:
    neighborhood = Neighborhood(Identity("me", "me", 1, {}), make_link, suspect_limit_s=20.0)
    handshake = Handshake(RoundState(np.zeros(1)), neighborhood, Convictions())
    effects = [handshake.hello_received("key", hello(incarnation), 0.0) for incarnation in IN_TURNS]
    told = [effect.notice for some in effects for effect in some if isinstance(effect, Notify)]
    assert [notice for notice in told if isinstance(notice, KeyInUseTwice)] != []


def make_link(_: Neighbor, link_id: LinkId) -> Link:
    return Link(link_id, size=3, n_params=1, precision=64, timer=ResendTimer(0.2, 1.0))
