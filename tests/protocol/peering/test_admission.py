"""Peers that there is no room for: each is refused with the reason, and a person is told of each once."""

from hypothesis import given
from hypothesis import strategies as st

from p2pnet.protocol.core.effects import HangUp, Notify, Send
from p2pnet.protocol.core.notices import AdmissionRefused
from p2pnet.protocol.messages.training import MAX_TEXT_LENGTH, Refuse
from p2pnet.protocol.peering.admission import AdmissionControl


@given(peers=st.lists(st.sampled_from(["ann", "bob", "cy"]), max_size=8), most=st.integers(1, 10**9))
def test_every_attempt_is_refused_and_ended_and_only_the_first_of_each_peer_is_news(
    peers: list[str], most: int
) -> None:
    admission = AdmissionControl(most)
    for place, peer in enumerate(peers):
        refused, ended, told = admission.turn_away(peer)
        assert isinstance(refused, Send)
        assert isinstance(refused.message, Refuse)
        assert refused.peer == peer
        assert f"network.max_neighbors = {most}" in refused.message.reason
        assert len(refused.message.reason) <= MAX_TEXT_LENGTH
        assert ended == HangUp(peer)
        assert told == Notify(AdmissionRefused(peer, most, peer not in peers[:place]))
