"""A refused peer is redialed after growing pauses, and the refusal is reported once."""

from p2pnet.protocol.peering.backoff import FIRST_PAUSE_S, MAX_PAUSE_S, Backoff


def longest(shortest: float, longest: float) -> float:  # noqa: ARG001
    return longest


def test_each_refusal_doubles_the_pause_up_to_a_minute_and_only_the_first_is_news() -> None:
    backoff = Backoff(longest)
    now, pauses, news = 0.0, [], []
    for _ in range(7):
        until, is_news = backoff.refused("a", "no room", now)
        backoff.disconnected("a", now + 1.0)
        pauses.append(until - now)
        news.append(is_news)
        now = until
    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    assert news == [True] + [False] * 6


def test_a_connection_without_a_refusal_makes_a_new_beginning() -> None:
    backoff = Backoff(longest)
    for now in (0.0, FIRST_PAUSE_S):
        backoff.refused("a", "no room", now)
    backoff.disconnected("a", 3 * FIRST_PAUSE_S)
    assert backoff.refused("a", "no room", 100.0) == (100.0 + FIRST_PAUSE_S, True)


def test_one_that_dials_while_it_is_put_off_makes_the_pause_begin_anew_and_no_longer() -> None:
    backoff = Backoff(longest)
    backoff.refused("a", "no room", 0.0)
    for now in (1.0, 1.0, 2.0):
        assert backoff.refused("a", "no room", now) == (now + FIRST_PAUSE_S, False)


def test_pauses_differ_from_agent_to_agent_and_other_reasons_and_peers_are_news_up_to_a_number() -> None:
    backoff = Backoff(min)
    assert backoff.refused("a", "no room", 0.0) == (2.5, True)
    assert backoff.refused("b", "no room", 0.0) == (2.5, True)
    news = [backoff.refused("a", f"reason {k}", MAX_PAUSE_S * k)[1] for k in range(1, 16)]
    assert sum(news) == 8 - 1
