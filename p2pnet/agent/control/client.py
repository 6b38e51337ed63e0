"""A client of the control socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self, final

from p2pnet.agent.control.endpoint import find_socket
from p2pnet.errors import ControlError

ANSWER_TIMEOUT_S: Final = 15.0
"""More than the server takes to say that the agent does not answer."""


@final
class ControlConnection:
    """A connection to the agent that runs in a state directory; of no more use once it has raised ControlError."""

    def __init__(self, state_dir: Path) -> None:
        """ControlError where no agent runs there, or it is another user's."""
        self._path = find_socket(state_dir)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_TIMEOUT_S)
        try:
            self._socket.connect(str(self._path))
        except OSError as error:
            self._socket.close()
            raise self._failed(error, state_dir) from None
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, after: int = 0) -> Mapping[str, Any]:
        """The agent's answer; of what grows, as events do, only what is behind the number `after`.

        ControlError where the agent refuses, or is gone.
        """
        request = {"command": command, "after": after} if after else {"command": command}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(self._lines.readline() or b"null")
        except (ConnectionResetError, BrokenPipeError):
            raise self._closed() from None
        except (OSError, ValueError) as error:
            raise self._unanswered(error) from error
        if not isinstance(answer, dict) or ("ok" not in answer and "error" not in answer):
            raise self._closed()
        if "error" in answer:
            raise ControlError(str(answer["error"]))
        values: Mapping[str, Any] = answer["ok"]
        return values

    def _failed(self, error: OSError, state_dir: Path) -> ControlError:
        """What it means that there is no connection."""
        if isinstance(error, PermissionError):
            return ControlError(f"{self._path}: only the user that runs the agent may ask it; become that user")
        if isinstance(error, FileNotFoundError | ConnectionRefusedError):
            return ControlError(f"{state_dir}: no agent runs there; start one with: p2pnet run AGENT_TOML")
        return self._unanswered(error)

    def _unanswered(self, error: Exception) -> ControlError:
        return ControlError(f"{self._path}: the agent does not answer: {error}; look at its log")

    def _closed(self) -> ControlError:
        return ControlError(
            f"{self._path}: the agent has closed the connection: it ends, or many ask at once; ask again"
        )


def ask(state_dir: Path, command: str) -> Mapping[str, Any]:
    """The answer of the agent that runs in this state directory; ControlError where none runs, or it refuses."""
    with ControlConnection(state_dir) as connection:
        return connection.ask(command)
