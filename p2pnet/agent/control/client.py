"""A client of the control socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from p2pnet.agent.control.endpoint import find_socket
from p2pnet.errors import ControlError

ANSWER_TIMEOUT_S: Final = 15.0
"""More than the server takes to say that the agent does not answer."""


def ask(state_dir: Path, command: str) -> Mapping[str, Any]:
    """The answer of the agent that runs in this state directory; ControlError where none runs, or it refuses."""
    path = find_socket(state_dir)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps({"command": command}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline() or b"null")
        except PermissionError:
            raise ControlError(f"{path}: only the user that runs the agent may ask it; become that user") from None
        except (FileNotFoundError, ConnectionRefusedError):
            raise ControlError(f"{state_dir}: no agent runs there; start one with: p2pnet run AGENT_TOML") from None
        except (ConnectionResetError, BrokenPipeError):
            raise _closed(path) from None
        except (OSError, ValueError) as error:
            raise ControlError(f"{path}: the agent does not answer: {error}; look at its log") from error
    if not isinstance(answer, dict) or ("ok" not in answer and "error" not in answer):
        raise _closed(path)
    if "error" in answer:
        raise ControlError(str(answer["error"]))
    values: Mapping[str, Any] = answer["ok"]
    return values


def _closed(path: Path) -> ControlError:
    return ControlError(f"{path}: the agent has closed the connection: it ends, or many ask at once; ask again")
