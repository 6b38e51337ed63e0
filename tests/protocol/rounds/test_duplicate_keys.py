"""Two processes with one key are told from one that is restarted, whose old messages come late, or whose clock is set
back.
"""

from p2pnet.protocol.links.link import Link
from p2pnet.protocol.messages.training import Hello, LinkId, Nonce
from p2pnet.protocol.rounds.duplicate_keys import MAX_RELAPSES, WINDOW_S, DuplicateKeyDetector
from p2pnet.protocol.rounds.effects import Log
from p2pnet.protocol.rounds.neighborhood import Identity, Neighborhood
from p2pnet.protocol.rounds.timing import ResendTimer, Timing

EARLIER, LATER = 1000, 1002
IN_TURNS = [LATER, *[EARLIER, LATER] * (MAX_RELAPSES + 3)]


def hello(incarnation: int, name: str = "ann") -> Hello:
    return Hello(Nonce(incarnation, 1), None, {}, name, "", 0, False)


def warnings(incarnations: list[int], interval_s: float = 1.0, peer: str = "key") -> list[str]:
    """What is said of Hellos that come one after the other."""
    doubles = DuplicateKeyDetector()
    logs = [
        log
        for k, incarnation in enumerate(incarnations)
        for log in doubles.hello_received(peer, hello(incarnation, f"ann-{incarnation}"), k * interval_s)
    ]
    assert all(isinstance(log, Log) and log.is_warning for log in logs)
    return [log.text for log in logs if isinstance(log, Log)]


def test_two_that_speak_in_turns_are_one_warning_with_both_names_and_what_to_do() -> None:
    (warning,) = warnings(IN_TURNS)
    assert warning.startswith("two processes seem to use the key of ann-1000 and ann-1002: ")
    assert "p2pnet keygen (key)" in warning


def test_restarts_and_what_comes_late_of_the_life_before_are_not_two_processes() -> None:
    assert warnings(list(range(EARLIER, EARLIER + 100, 2))) == []
    assert warnings([EARLIER, LATER] + [EARLIER] * 100) == []  # its clock was set back
    assert warnings([LATER, *[EARLIER, LATER] * MAX_RELAPSES]) == []
    assert warnings(IN_TURNS, interval_s=WINDOW_S / 2) == []


def test_the_survey_and_the_training_of_one_process_are_not_two() -> None:
    assert warnings([LATER, *[LATER - 1, LATER] * 100]) == []


def test_a_neighborhood_tells_of_it_though_it_drops_what_the_earlier_one_says() -> None:
    neighborhood = Neighborhood(Identity("me", "me", 1, {}), make_link, suspect_limit_s=20.0)
    effects = [neighborhood.hello_received("key", hello(incarnation), 0.0) for incarnation in IN_TURNS]
    assert [effect for some in effects for effect in some if isinstance(effect, Log) and effect.is_warning] != []


def make_link(link_id: LinkId) -> Link:
    return Link(link_id, size=3, precision=64, timer=ResendTimer(Timing()))
