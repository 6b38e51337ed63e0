"""What strangers and bad members may send to a running agent: each attack is a function."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import msgpack
import numpy as np
import zmq

from p2pnet.agent.transport.base import Refusal
from p2pnet.agent.transport.keys import KeyPair, generate_keys
from p2pnet.protocol.core.codec import PROTOCOL_VERSION
from p2pnet.protocol.core.types import LinkId, Message, Nonce
from p2pnet.protocol.messages.membership import Disconnect, Gossip, MemberState, Record
from p2pnet.protocol.messages.training import Ack, Hello, Ready, Share
from p2pnet.protocol.messages.wire import decode, encode
from p2pnet.training.records import Result

LOG_PATIENCE_S = 10.0
HUGE = 2**61
FOREIGN_LINK = LinkId(Nonce(1, 1), Nonce(2, 2))
FORGED_LINE = "2026-01-01 00:00:00.000 INFO    agent-1: all is well"


@dataclass(frozen=True, slots=True)
class Target:
    """The agent under attack, and the keys that the attacker holds."""

    port: int
    public_key: str
    insider: KeyPair
    n_params: int
    """of the model that it trains"""


class Mole:
    """A peer of our own making, with a key that the agent allows."""

    def __init__(self, target: Target, keys: KeyPair) -> None:
        self.n_params = target.n_params
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.linger = 500
        self.socket.reconnect_ivl = -1
        self.socket.sndtimeo = 2000
        self.socket.rcvtimeo = 5000
        self.socket.curve_publickey, self.socket.curve_secretkey = keys.public.encode(), keys.secret.encode()
        self.socket.curve_serverkey = target.public_key.encode()
        self.socket.connect(f"tcp://127.0.0.1:{target.port}")
        self.socket.send(b"")  # the greeting that a dialer begins with

    def say(self, message: Message) -> None:
        self.socket.send_multipart(encode(message))

    def hear(self) -> Message:
        return decode(self.socket.recv_multipart())

    def hear_hello(self) -> Hello:
        while not isinstance(message := self.hear(), Hello):
            pass
        return message

    def open_link(self) -> LinkId:
        """Shake hands as a good member would, with the fingerprint that the agent itself tells.

        From here on the agent takes us for a neighbor that is not ready yet.
        """
        theirs = self.hear_hello()
        mine = Nonce(int(time.time()), time.perf_counter_ns() % 2**40)
        self.say(Hello(mine, theirs.nonce, theirs.fingerprint, "mole", "", -1, is_confirmed=True))
        self.hear()
        return LinkId(mine, theirs.nonce)

    def close(self) -> None:
        self.socket.close()
        self._context.term()


@contextlib.contextmanager
def insider(target: Target) -> Iterator[Mole]:
    mole = Mole(target, target.insider)
    try:
        yield mole
        time.sleep(0.2)  # the agent reads all of it while the connection stands
    finally:
        mole.close()


# -------------------------------------------------------------------------------------------------- the attacks


def send_noise(target: Target) -> None:
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4096, bytes(range(256)) * 64):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target.port)) as stream:
            stream.sendall(noise)
            stream.settimeout(0.2)
            stream.recv(4096)


def knock_with_a_strange_key(target: Target) -> None:
    mole = Mole(target, generate_keys())
    time.sleep(0.5)
    mole.close()


def send_garbage(target: Target) -> None:
    with insider(target) as mole:
        mole.hear_hello()
        mole.socket.send_multipart([b"\xc1" * 100])
        mole.socket.send_multipart([b"\x91" * 10_000])  # lists within lists within lists
        mole.socket.send_multipart([msgpack.packb([PROTOCOL_VERSION, 4, "and nothing more"])])


def send_foreign_version(target: Target) -> None:
    with insider(target) as mole:
        mole.hear_hello()
        mole.socket.send_multipart([msgpack.packb([99, 1, "hello from the future"])])
        time.sleep(0.5)


def send_oversized_frame(target: Target) -> None:
    with insider(target) as mole:
        mole.hear_hello()
        mole.socket.send_multipart([b"x" * 4_000_000])
        time.sleep(0.5)


def send_many_frames(target: Target) -> None:
    with insider(target) as mole:
        mole.hear_hello()
        mole.socket.send_multipart([b"x"] * 1000)


def send_large_message(target: Target) -> None:
    with insider(target) as mole:
        mole.hear_hello()
        mole.socket.send_multipart([b"x" * 15_000] * 3)


def send_without_end(target: Target) -> None:
    """The beginning of a message whose end is held back on the way."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = threading.Thread(target=pass_on, args=(server, target.port, 200_000))
        relay.start()
        with insider(replace(target, port=server.getsockname()[1])) as mole:
            mole.hear_hello()
            mole.socket.send_multipart([b"x" * 1000] * 1000)
            relay.join(LOG_PATIENCE_S)


def pass_on(server: socket.socket, port: int, n_bytes: int) -> None:
    """Join the next connection to the port, but only `n_bytes` go there; until that end closes it."""
    near, _ = server.accept()
    with near, socket.create_connection(("127.0.0.1", port)) as far:
        while True:
            readable, _, _ = select.select([near, far] if n_bytes else [far], [], [], LOG_PATIENCE_S)
            if near in readable:
                data = near.recv(n_bytes)
                n_bytes -= len(data)
                far.sendall(data)
            if far in readable:
                data = far.recv(65536)
                near.sendall(data)
            if not readable or not data:
                return


def claim_another_model(target: Target) -> None:
    with insider(target) as mole:
        theirs = mole.hear_hello()
        fingerprint = {**theirs.fingerprint, "model": "mlp 4-1000-1"}
        mole.say(Hello(Nonce(HUGE, HUGE), theirs.nonce, fingerprint, f"mole\n{FORGED_LINE}", "", 0, is_confirmed=True))
        mole.hear()


def share_over_foreign_links(target: Target) -> None:
    with insider(target) as mole:
        mole.hear_hello()
        n_params = mole.n_params
        for sequence in (1, HUGE):
            mole.say(make_share(FOREIGN_LINK, np.full(n_params + 2, 1e6), np.zeros(n_params), sequence, round_=HUGE))
        mole.say(Ready(FOREIGN_LINK, HUGE, 0))
        mole.hear()


def share_wrong_sizes(target: Target) -> None:
    with insider(target) as mole:
        link, n_params = mole.open_link(), mole.n_params
        mole.say(make_share(link, np.zeros(n_params + 2), np.zeros(n_params + 7)))
        mole.say(make_share(link, np.zeros(n_params - 1), np.zeros(n_params)))
        mole.say(make_share(link, np.zeros(0), np.zeros(0)))


def share_nan(target: Target) -> None:
    with insider(target) as mole:
        link, n_params = mole.open_link(), mole.n_params
        mole.say(make_share(link, np.full(n_params + 2, np.nan), np.zeros(n_params)))
        mole.say(make_share(link, np.zeros(n_params + 2), np.full(n_params, np.inf)))


def name_absurd_bases(target: Target) -> None:
    with insider(target) as mole:
        link, n_params = mole.open_link(), mole.n_params
        mole.say(Ack(link, HUGE))
        share = make_share(link, np.zeros(n_params + 2), np.zeros(n_params), HUGE)
        mole.say(replace(share, base=HUGE, acknowledged=HUGE))


def repeat_messages(target: Target) -> None:
    with insider(target) as mole:
        theirs = mole.hear_hello()
        hello = Hello(Nonce(1, 1), None, {**theirs.fingerprint, "loss": "none"}, "mole", "", 0, is_confirmed=False)
        with contextlib.suppress(zmq.Again):  # until the agent hangs up
            for _ in range(1000):
                mole.say(hello)
                if mole.socket.poll(0):
                    mole.hear()


def gossip(target: Target) -> None:
    """Of the agent's own death, of members that there are not, and of states that there are not either."""
    with insider(target) as mole:
        mole.hear_hello()
        nobody = [
            Record(generate_keys().public, MemberState.ALIVE, HUGE, f"tcp://127.0.0.1:{port}") for port in range(1, 65)
        ]
        for message in (
            Gossip((Record(target.public_key, MemberState.DEAD, HUGE),)),
            Gossip(tuple(nobody)),
            Disconnect(),
        ):
            mole.socket.send_multipart(encode(message))
        mole.socket.send_multipart([msgpack.packb([PROTOCOL_VERSION, 68, [["x", 9, 1]]])])


def make_share(link: LinkId, total: np.ndarray, params: np.ndarray, sequence: int = 1, round_: int = 1) -> Share:
    return Share(
        link_id=link,
        sequence=sequence,
        acknowledged=0,
        base=0,
        precision=64,
        round=round_,
        next_degree=1,
        proximal_weight=0.0,
        first_residual=0.0,
        quiet=0,
        stop_round=-1,
        is_held=False,
        total=total,
        params=params,
    )


@dataclass(frozen=True, slots=True)
class Attack:
    """What is done, where it is counted, and what the log says of it."""

    name: str
    carry_out: Callable[[Target], None]
    count: Callable[[Result], int]
    logged: str


def rejected(*refusals: Refusal) -> Callable[[Result], int]:
    return lambda result: sum(result.n_rejected.get(str(refusal), 0) for refusal in refusals)


def dropped(result: Result) -> int:
    return result.n_messages_dropped


def refused(result: Result) -> int:
    return result.n_messages_refused


ATTACKS = (
    Attack(
        "nobody: noise on the port",
        send_noise,
        rejected(Refusal.BROKEN_HANDSHAKE, Refusal.NO_HANDSHAKE),
        Refusal.BROKEN_HANDSHAKE,
    ),
    Attack(
        "stranger: a key that is not allowed",
        knock_with_a_strange_key,
        rejected(Refusal.KEY_NOT_ALLOWED),
        Refusal.KEY_NOT_ALLOWED,
    ),
    Attack("member: garbage for a header", send_garbage, dropped, "header: not msgpack"),
    Attack("member: another protocol version", send_foreign_version, dropped, "protocol version: theirs is 99"),
    Attack("member: a frame of 4 MB", send_oversized_frame, rejected(Refusal.BROKEN_FRAME), Refusal.BROKEN_FRAME),
    Attack("member: 1000 frames", send_many_frames, rejected(Refusal.TOO_MANY_FRAMES), Refusal.TOO_MANY_FRAMES),
    Attack("member: too many bytes", send_large_message, rejected(Refusal.TOO_MANY_BYTES), Refusal.TOO_MANY_BYTES),
    Attack(
        "member: a message without end", send_without_end, rejected(Refusal.ENDLESS_MESSAGE), Refusal.ENDLESS_MESSAGE
    ),
    Attack("member: another model, forging the log", claim_another_model, refused, "model: theirs is mlp 4-1000-1"),
    Attack("member: shares over links unknown", share_over_foreign_links, refused, "with Reset"),
    Attack("member: shares of the wrong size", share_wrong_sizes, dropped, "Share.params: 12 numbers instead of 5"),
    Attack("member: NaN and infinity", share_nan, dropped, "holds a number that is not finite"),
    Attack("member: numbers that were never given", name_absurd_bases, dropped, f"Share.base: share {HUGE}"),
    Attack("member: gossip of what is not", gossip, dropped, "Gossip.records: no such state"),
    Attack("member: a thousand hellos", repeat_messages, refused, "loss: theirs is none"),
)
