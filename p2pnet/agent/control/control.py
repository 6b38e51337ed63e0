"""The commands of the control socket."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, assert_never, final

from p2pnet.agent.control.reloading import Reloading
from p2pnet.agent.control.server import ControlServer, Request
from p2pnet.agent.control.view import AgentView
from p2pnet.errors import ControlError, P2pnetError
from p2pnet.protocol.core.types import PeerId


class Command(StrEnum):
    """What may be asked of an agent, or told."""

    STATUS = "status"
    PEERS = "peers"
    NETWORK = "network"
    EVENTS = "events"
    HISTORY = "history"
    MODEL = "model"
    RELOAD = "reload"
    RECORDS = "records"
    CHECKPOINT = "checkpoint"
    LEAVE = "leave"
    AWAY = "away"


@final
class Control:
    """Answers the requests at the control socket, between two events of the daemon's loop."""

    def __init__(
        self, view: AgentView, reloading: Reloading | None, log: logging.Logger, clock: Callable[[], float]
    ) -> None:
        """`reloading` is None where the settings are not from a file; `clock` shows seconds that never go back."""
        self._clock = clock
        self.view = view
        self._reloading = reloading
        self._log = log
        self._server: ControlServer | None = None
        self._has_reloaded = False

    def open(self, listen: Callable[[], ControlServer]) -> None:
        """Begin to listen; where that cannot be, training goes on without."""
        try:
            self._server = listen()
        except ControlError as error:
            self._log.warning("%s; `p2pnet status` and the like do not work meanwhile", error)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def serve(self, carry_out: Callable[[Command], Mapping[str, Any]]) -> None:
        """Answer all requests that wait; `carry_out` does what changes the course of the agent, or is the
        learner's to compute.
        """
        for request in self._requests():
            try:
                request.answer(self._answer(Command(request.command), request.after, carry_out))
            except ValueError:
                request.refuse(f"no such command: {request.command[:80]}; there are {', '.join(sorted(Command))}")
            except P2pnetError as error:
                request.refuse(str(error))

    def reload(self) -> None:
        """Read the settings anew; those in force stay where the new ones are wrong."""
        try:
            self._reload()
        except P2pnetError as error:
            self._log.warning("the settings in force stay: %s", error)

    def take_reload(self) -> bool:
        """Whether the settings were read anew, and the samples are to be; true once for each time."""
        has_reloaded, self._has_reloaded = self._has_reloaded, False
        return has_reloaded

    def take_revoked(self) -> set[PeerId]:
        """Remove and return the keys that are allowed no more, whose connections are to be closed."""
        return set() if self._reloading is None else self._reloading.take_revoked()

    def _requests(self) -> Sequence[Request]:
        return () if self._server is None else self._server.take()

    def _reload(self) -> Mapping[str, Any]:
        if self._reloading is None:
            raise ControlError("the settings of this agent are not from a file; start it anew")
        self._has_reloaded = True
        return self._reloading.reload()

    def _answer(
        self, command: Command, after: int, carry_out: Callable[[Command], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        match command:
            case Command.STATUS:
                return self.view.status()
            case Command.PEERS:
                return self.view.peers()
            case Command.NETWORK:
                return self.view.network(self._clock())
            case Command.EVENTS:
                return self.view.events(after)
            case Command.HISTORY:
                return self.view.history(after)
            case Command.RELOAD:
                return self._reload()
            case Command.MODEL | Command.RECORDS | Command.CHECKPOINT | Command.LEAVE | Command.AWAY:
                return carry_out(command)
            case _:
                assert_never(command)
