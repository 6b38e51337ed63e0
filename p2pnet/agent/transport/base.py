"""How messages reach a peer: the interface of every transport, and the events that its poll returns.

A peer is named by its public key, which the transport has verified before it says anything about that peer. A message
is a few frames of bytes; it arrives whole, at most once, or not at all. Between two peers there is one connection,
whoever dialed it, and it serves both directions. The methods belong to one thread, all but `wake`.
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
    """Why something that arrived was refused."""

    NO_HANDSHAKE = "closed or kept silent before it said who it is"
    BROKEN_HANDSHAKE = "does not speak CURVE to our key"
    KEY_NOT_ALLOWED = "its key is not on the allow-list"
    CHOSEN_ROUTING_ID = "chose its own routing id"
    TOO_MANY_FRAMES = "sent a message of too many frames"
    TOO_MANY_BYTES = "sent a message of too many bytes"
    ENDLESS_MESSAGE = "sent more than a message may hold without ending it"
    BROKEN_FRAME = "sent a frame that is too large or damaged"


@dataclass(frozen=True, slots=True)
class Received:
    """A message from a verified peer; the frames suit np.frombuffer and stay valid as long as they are held."""

    peer: PeerId
    frames: tuple[memoryview, ...]


@dataclass(frozen=True, slots=True)
class Inquired:
    """A verified peer asks something over a connection that serves for nothing else; `Transport.reply` answers."""

    peer: PeerId
    frames: tuple[memoryview, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something that arrived was refused, and `n_unreported` others since the last report of this kind.

    The peer is there when it was verified, else None; the address (host and port, or host) where it is known.
    """

    refusal: Refusal
    peer: PeerId | None
    address: str | None
    n_unreported: int


TransportEvent: TypeAlias = Received | Inquired | PeerConnected | PeerDisconnected | DialFailed | Rejected


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """What a transport accepts, and how patient it is.

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
    max_strangers: int = 64  # connections that have not said yet who they are


class Transport(ABC):
    """Messages to and from verified peers."""

    @property
    @abstractmethod
    def addresses(self) -> tuple[str, ...]:
        """Where this transport listens, ephemeral ports filled in; empty for one that only dials out."""

    @property
    @abstractmethod
    def bytes_sent(self) -> int:
        """Bytes of all frames taken for sending so far."""

    @property
    @abstractmethod
    def bytes_received(self) -> int:
        """Bytes of all frames received so far, refused ones included."""

    @property
    @abstractmethod
    def n_rejected(self) -> Mapping[Refusal, int]:
        """How often each kind of refusal has happened, reported or not."""

    @abstractmethod
    def dial(self, peer: PeerId, *addresses: str) -> None:
        """Keep connecting to the peer until hang_up, with growing pauses, at each of the addresses in turn.

        New addresses replace the old ones.
        """

    @abstractmethod
    def hang_up(self, peer: PeerId) -> None:
        """Dial the peer no more and close the connection; what has been sent still has a second to leave."""

    @abstractmethod
    def send(self, peer: PeerId, frames: Sequence[Frame]) -> bool:
        """Take the message for sending; False, and nothing taken, when not connected or the queue is full.

        Read-only buffers (bytes, views of arrays with writeable=False) may be sent without a copy, so what they show
        must never change; all others are copied here and may be used again at once. A single empty frame is no
        message: it is the transport's own greeting.
        """

    @abstractmethod
    def reply(self, peer: PeerId, frames: Sequence[Frame]) -> None:
        """Answer the peer's last inquiry, unless it has gone; the connection that it came over closes by itself."""

    @abstractmethod
    def poll(self, timeout_s: float | None) -> list[TransportEvent]:
        """What has happened; waits for it up to `timeout_s` (None: without limit), or until `wake`.

        It may return early with nothing.
        """

    @abstractmethod
    def wake(self) -> None:
        """Let the poll under way, else the next one, return at once; for any thread and for signal handlers."""

    @abstractmethod
    def close(self, linger_s: float) -> None:
        """Send what is queued for up to `linger_s`, then free everything; a second call does nothing."""
