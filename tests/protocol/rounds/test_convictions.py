"""For how long one that was convicted gets no link."""

import numpy as np

from p2pnet.protocol.core.effects import Dismiss, PutOff, Send
from p2pnet.protocol.core.events import Evaluated
from p2pnet.protocol.core.notices import CloseReason
from p2pnet.protocol.core.types import Nonce
from p2pnet.protocol.messages.training import Hello, Refuse
from p2pnet.protocol.rounds.convictions import FIRST_ROUNDS, GROWTH, Convictions
from tests.protocol.rounds.parts import N_MASS, Parts


def test_a_conviction_expires_and_each_further_one_lasts_longer() -> None:
    convictions = Convictions()
    assert not convictions.is_refused("ann", 100)
    lasted = FIRST_ROUNDS
    at = 100
    for _ in range(3):
        convictions.convict("ann", at)
        assert convictions.is_refused("ann", at)
        assert convictions.is_refused("ann", at + lasted - 1)
        assert not convictions.is_refused("ann", at + lasted)
        assert not convictions.is_refused("bob", at)
        at, lasted = at + lasted, lasted * GROWTH


def test_one_whose_share_breaks_a_bound_loses_its_link_with_all_that_it_gave_and_gets_a_new_one_later() -> None:
    parts = Parts("ann", "bob", is_bounded=True)
    own = np.ones(N_MASS - 2)
    parts.exchange.evaluated(Evaluated(0, own, 1.0))
    before = parts.exchange.mass()
    share = parts.share("ann", 0, total=np.array([0.0, 0.0, 0.0, 9.0]))
    effects = parts.handlers.received("ann", share, now=1.0)
    assert Send("ann", Refuse(f"not trusted for now: {CloseReason.TOO_MUCH_WEIGHT}")) in effects
    assert Dismiss("ann", CloseReason.TOO_MUCH_WEIGHT) in effects
    np.testing.assert_array_equal(parts.exchange.mass(), before)

    hello = Hello(Nonce(2, 1), None, {}, "ann", "", 0, is_confirmed=False)
    effects = parts.handlers.received("ann", hello, now=2.0)
    assert any(isinstance(effect, PutOff) and effect.is_ours for effect in effects)
    assert parts.neighbor("ann").link is None
    parts.state.round = FIRST_ROUNDS
    parts.handlers.received("ann", hello, now=3.0)
    assert parts.neighbor("ann").link is not None
