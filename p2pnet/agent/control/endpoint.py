"""Where the control socket of an agent is: in the runtime directory, under a name made from the state directory.

The path of a Unix socket has at most 107 bytes, which state directories may exceed. So the socket is in the runtime
directory, and the file `control` of the state directory holds its path.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from p2pnet.agent.private_files import read_private
from p2pnet.errors import ConfigError, ControlError

MAX_PATH_BYTES: Final = 107
DEFAULT_STATE_DIR: Final = "state"
"""As `AgentSettings.state_dir`."""
POINTER: Final = "control"
"""The file of the state directory that holds the path of the socket."""


def state_dir_of(agent_toml: Path, flags: Iterable[str], environment: Mapping[str, str] = os.environ) -> Path:
    """The state directory that an agent.toml names, or a flag or variable in its place, as `read_settings` finds it.

    The other settings are not looked at: an agent may be asked while a wrong setting stands in its file, and at once,
    without what reads settings, which takes a third of a second to import. ConfigError where the file is no TOML.
    """
    try:
        table = tomllib.loads(agent_toml.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not TOML"
        raise ConfigError(f"{agent_toml}: {reason}; name the agent.toml that the agent was started with") from error
    section = table.get("agent")
    named = section.get("state_dir") if isinstance(section, dict) else None
    named = environment.get("P2PNET_AGENT__STATE_DIR", named)
    for flag in flags:
        key, _, value = flag.partition("=")
        named = value.strip() if key.strip() == "agent.state_dir" else named
    return agent_toml.parent / (named if isinstance(named, str) else DEFAULT_STATE_DIR)


def socket_path(state_dir: Path, environment: Mapping[str, str], user: int) -> Path:
    """The path of the control socket of the agent with this state directory.

    The runtime directory is systemd's for the service (RUNTIME_DIRECTORY), else the user's (XDG_RUNTIME_DIR), else one
    of the user's own in /tmp. ControlError where the path would be too long.
    """
    if of_service := environment.get("RUNTIME_DIRECTORY"):
        directory = Path(of_service.partition(":")[0])
    elif of_user := environment.get("XDG_RUNTIME_DIR"):
        directory = Path(of_user) / "p2pnet"
    else:
        directory = Path(f"/tmp/p2pnet-{user}")  # noqa: S108  (made 0700, and refused where it is another user's)
    name = hashlib.sha256(bytes(state_dir.resolve())).hexdigest()[:16]
    path = directory / f"{name}.sock"
    if len(bytes(path)) > MAX_PATH_BYTES:
        raise ControlError(
            f"{path}: {len(bytes(path))} bytes are too many for the path of a socket, which takes {MAX_PATH_BYTES}; "
            "set RUNTIME_DIRECTORY to a shorter one"
        )
    return path


def find_socket(state_dir: Path) -> Path:
    """The socket of the agent that runs, or ran last, in this state directory; ControlError where there is none."""
    try:
        return Path(read_private(state_dir / POINTER, 4 * MAX_PATH_BYTES).decode().strip())
    except (OSError, UnicodeDecodeError):
        raise ControlError(f"{state_dir}: no agent runs there; start one with: p2pnet run AGENT_TOML") from None
