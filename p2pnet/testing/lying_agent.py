"""`p2pnet run` for a lying member: its outgoing messages are changed.

    python -m p2pnet.testing.lying_agent agent.toml --lie params-scaled:10 --lie stop-early --set algorithm.rounds=50

Everything else is what every agent does; the agent itself does not know that it lies.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import final

from p2pnet.agent.transport.base import Frame, Refusal, Transport, TransportEvent
from p2pnet.agent.transport.keys import load_keys
from p2pnet.errors import P2pnetError
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages import wire
from p2pnet.testing.lies import PLAIN, AnyMessage, Liar, Lie, parse_lie, tell


@final
class LyingTransport(Transport):
    """A transport that applies lies to each message before sending."""

    def __init__(self, inner: Transport, lies: Sequence[Lie]) -> None:
        self._inner = inner
        self._lies = lies

    def send(self, peer: PeerId, frames: Sequence[Frame]) -> bool:
        """Queue the changed messages; True where all were queued."""
        message = _decode(frames)
        told = tell(self._lies, message)
        return all(self._inner.send(peer, frames if lie is message else _encode(lie)) for lie in told)

    @property
    def addresses(self) -> tuple[str, ...]:
        return self._inner.addresses

    @property
    def bytes_sent(self) -> int:
        return self._inner.bytes_sent

    @property
    def bytes_received(self) -> int:
        return self._inner.bytes_received

    def bytes_with(self, peer: PeerId) -> tuple[int, int]:
        return self._inner.bytes_with(peer)

    @property
    def n_rejected(self) -> Mapping[Refusal, int]:
        return self._inner.n_rejected

    def dial(self, peer: PeerId, *addresses: str) -> None:
        self._inner.dial(peer, *addresses)

    def hang_up(self, peer: PeerId) -> None:
        self._inner.hang_up(peer)

    def reply(self, peer: PeerId, frames: Sequence[Frame]) -> None:
        self._inner.reply(peer, frames)

    def poll(self, timeout_s: float | None) -> list[TransportEvent]:
        return self._inner.poll(timeout_s)

    def wake(self) -> None:
        self._inner.wake()

    def close(self, linger_s: float) -> None:
        self._inner.close(linger_s)


def _decode(frames: Sequence[Frame]) -> AnyMessage:
    return wire.decode(frames)


def _encode(message: AnyMessage) -> Sequence[Frame]:
    return wire.encode(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent of a settings file with lies; return the exit code, after one line on standard error if not 0."""
    from p2pnet.agent.run import run_agent
    from p2pnet.config import read_settings

    parser = argparse.ArgumentParser(prog="lying_agent", description=__doc__)
    parser.add_argument("agent_toml", type=Path)
    parser.add_argument("--lie", dest="lies", action="append", default=[], metavar="NAME[:ARGUMENT]")
    parser.add_argument("--set", dest="flags", action="append", default=[], metavar="SECTION.KEY=VALUE")
    options = parser.parse_args(arguments)
    try:
        settings = read_settings(options.agent_toml, [*options.flags, f"network.precision={PLAIN}"])
        liar = Liar(load_keys(settings.security.secret_key).public, settings.model.seed)
        lies = [parse_lie(text, liar) for text in options.lies]
        return run_agent(settings, wrap_transport=partial(LyingTransport, lies=lies))
    except P2pnetError as error:
        sys.stderr.write(f"p2pnet: {' '.join(str(error).split())}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
