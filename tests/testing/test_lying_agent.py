"""What a member that lies hands to its transport."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from p2pnet.agent.transport.base import Frame, Refusal, Transport, TransportEvent
from p2pnet.protocol.core.types import LinkId, Nonce, PeerId
from p2pnet.protocol.messages import training, wire
from p2pnet.protocol.messages.membership import Gossip, MemberState, Record
from p2pnet.protocol.messages.training import Ack, Left
from p2pnet.testing.lies import AnyMessage, Liar, parse_lie
from p2pnet.testing.lying_agent import LyingTransport, main

LINK = LinkId(Nonce(1, 2), Nonce(3, 4))


class Recorder(Transport):
    """Keeps what it is to send, up to some messages."""

    addresses = ("tcp://127.0.0.1:7070",)
    bytes_sent, bytes_received = 3, 4
    n_rejected: Mapping[Refusal, int] = {Refusal.NO_HANDSHAKE: 5}

    def __init__(self, capacity: int = 10) -> None:
        self.capacity = capacity
        self.sent: list[Sequence[Frame]] = []
        self.calls: list[tuple[object, ...]] = []

    def send(self, peer: PeerId, frames: Sequence[Frame]) -> bool:
        assert peer == "peer"
        if len(self.sent) == self.capacity:
            return False
        self.sent.append(frames)
        return True

    def bytes_with(self, peer: PeerId) -> tuple[int, int]:
        return (3, 4)

    def messages(self) -> list[AnyMessage]:
        return [wire.decode(frames) for frames in self.sent]

    def dial(self, peer: PeerId, *addresses: str) -> None:
        self.calls.append(("dial", peer, *addresses))

    def hang_up(self, peer: PeerId) -> None:
        self.calls.append(("hang_up", peer))

    def reply(self, peer: PeerId, frames: Sequence[Frame]) -> None:
        self.calls.append(("reply", peer, frames))

    def poll(self, timeout_s: float | None) -> list[TransportEvent]:
        self.calls.append(("poll", timeout_s))
        return []

    def wake(self) -> None:
        self.calls.append(("wake",))

    def close(self, linger_s: float) -> None:
        self.calls.append(("close", linger_s))


def lying(recorder: Recorder, *lies: str) -> LyingTransport:
    return LyingTransport(recorder, [parse_lie(lie, Liar("liar")) for lie in lies])


def test_messages_of_both_kinds_are_changed_and_all_others_pass_as_they_are() -> None:
    recorder = Recorder()
    transport = lying(recorder, "stop-early:3", "incarnations-raised:5")
    record = Record("other", MemberState.ALIVE, 1)
    truth = wire.encode(Left(LINK))
    assert transport.send("peer", wire.encode(Ack(LINK, 1)))
    assert transport.send("peer", wire.encode(Gossip((record,))))
    assert transport.send("peer", truth)
    raised = Gossip((Record("other", MemberState.ALIVE, 6),))
    assert recorder.messages() == [Ack(LINK, 1, stop_round=3), raised, Left(LINK)]
    assert recorder.sent[-1] is truth


def test_a_message_that_only_a_part_was_taken_of_was_not_sent() -> None:
    labels = wire.encode(training.LabelSet(0, "survey", (), False))
    assert lying(Recorder(capacity=2), "statistics-unasked").send("peer", labels)
    assert not lying(Recorder(capacity=1), "statistics-unasked").send("peer", labels)


def test_everything_else_is_what_the_transport_does() -> None:
    recorder = Recorder()
    transport = lying(recorder)
    transport.dial("peer", "here", "there")
    transport.hang_up("peer")
    transport.reply("peer", [b"frame"])
    transport.wake()
    assert transport.poll(0.5) == []
    transport.close(0.1)
    assert recorder.calls == [
        ("dial", "peer", "here", "there"),
        ("hang_up", "peer"),
        ("reply", "peer", [b"frame"]),
        ("wake",),
        ("poll", 0.5),
        ("close", 0.1),
    ]
    assert (transport.addresses, transport.bytes_sent, transport.bytes_received, transport.n_rejected) == (
        recorder.addresses,
        3,
        4,
        recorder.n_rejected,
    )


def test_what_cannot_be_run_is_one_line_with_the_exit_code_of_its_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "agent.toml"), "--lie", "stop-early"]) == 78
    assert capsys.readouterr().err.startswith(f"p2pnet: {tmp_path / 'agent.toml'}: no such file")
