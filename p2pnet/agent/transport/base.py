"""The interface of transports: encrypted connections that carry whole messages between verified peers.

A peer is named by its public key, which the transport has verified before it reports an event of that peer. A message
is a few frames of bytes; it arrives whole, at most once, or not at all. Between two peers there is one connection for
both directions, whichever side dialed. All methods but `wake` must be called from one thread.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from p2pnet.protocol.core.events import DialFailed, PeerConnected, PeerDisconnected
from p2pnet.protocol.core.types import PeerId

Frame: TypeAlias = bytes | bytearray | memoryview


class Refusal(StrEnum):
    """The reason why a connection or message was refused."""

    NO_HANDSHAKE = "closed or kept silent before it said who it is"
    BROKEN_HANDSHAKE = "does not speak CURVE to our key"
    KEY_NOT_ALLOWED = "its key is not on the allow-list"
    TOO_MANY_HANDSHAKES = "shakes hands too often"
    CHOSEN_ROUTING_ID = "chose its own routing id"
    TOO_MANY_FRAMES = "sent a message of too many frames"
    TOO_MANY_BYTES = "sent a message of too many bytes"
    ENDLESS_MESSAGE = "sent more than a message may hold without ending it"
    ONLY_A_QUERY = "holds an invitation, and may send one question"
    BROKEN_FRAME = "sent a frame that is too large or damaged"


@dataclass(frozen=True, slots=True)
class Received:
    """A verified peer has sent a message; its frames suit np.frombuffer and stay valid while they are referenced."""

    peer: PeerId
    frames: tuple[memoryview, ...]


@dataclass(frozen=True, slots=True)
class Queried:
    """A verified peer has sent a query (a status query) over a connection of its own; `Transport.reply` answers."""

    peer: PeerId
    frames: tuple[memoryview, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A connection or message was refused, and `n_unreported` others since the last report of this kind.

    The peer is None unless it was verified; the address (host and port, or host) is None unless it is known.
    """

    refusal: Refusal
    peer: PeerId | None
    address: str | None
    n_unreported: int


TransportEvent: TypeAlias = Received | Queried | PeerConnected | PeerDisconnected | DialFailed | Rejected


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Limits on messages, queues and connections, and timeouts of a transport.

    Memory is bounded by (2 · queue_messages + 1) · max_message_bytes for each connected peer.
    """

    max_frames: int = 64
    max_message_bytes: int = 256 * 2**20
    queue_messages: int = 32
    connect_timeout_s: float = 5.0
    handshake_timeout_s: float = 10.0
    retry_min_s: float = 0.1
    retry_max_s: float = 5.0
    dead_peer_timeout_s: float = 60.0
    max_strangers: int = 64  # connections that have not completed the handshake


class Transport(ABC):
    """Dials peers, and sends and receives messages of verified peers."""

    @property
    @abstractmethod
    def addresses(self) -> tuple[str, ...]:
        """The addresses at which this transport listens, with ephemeral ports; empty where it only dials out."""

    @property
    @abstractmethod
    def bytes_sent(self) -> int:
        """The bytes of all frames accepted for sending so far."""

    @property
    @abstractmethod
    def bytes_received(self) -> int:
        """The bytes of all frames received so far, refused frames included."""

    @abstractmethod
    def bytes_with(self, peer: PeerId) -> tuple[int, int]:
        """What of these was sent to the peer, and received from it, over all its connections."""

    @property
    @abstractmethod
    def n_rejected(self) -> Mapping[Refusal, int]:
        """The count of each kind of refusal, reported or not."""

    @abstractmethod
    def dial(self, peer: PeerId, *addresses: str) -> None:
        """Keep trying to connect to the peer until `hang_up`, with growing pauses, at each of the addresses in turn.

        New addresses replace the old ones.
        """

    @abstractmethod
    def hang_up(self, peer: PeerId) -> None:
        """Stop dialing the peer and close its connection; sent messages have a second to leave."""

    @abstractmethod
    def send(self, peer: PeerId, frames: Sequence[Frame]) -> bool:
        """Queue a message for sending; False, and nothing queued, where the peer is not connected or the queue is full.

        Read-only buffers (bytes, views of arrays with writeable=False) may be sent without a copy, so what they show
        must never change; all others are copied here and may be used again at once. A single empty frame is no
        message: it is the transport's own greeting.
        """

    @abstractmethod
    def reply(self, peer: PeerId, frames: Sequence[Frame]) -> None:
        """Answer the peer's last query if its connection is still open; that connection then closes by itself."""

    @abstractmethod
    def poll(self, timeout_s: float | None) -> list[TransportEvent]:
        """Wait for events up to `timeout_s` (None: without limit) or until `wake`, and return them.

        It may return early without events.
        """

    @abstractmethod
    def wake(self) -> None:
        """Make the running poll, else the next, return at once; callable from any thread and from signal handlers."""

    @abstractmethod
    def close(self, linger_s: float) -> None:
        """Send queued messages for up to `linger_s`, then close all; a second call has no effect."""
