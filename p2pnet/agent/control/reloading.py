"""Reading the settings anew while the agent runs: who is allowed, and what is logged where.

All other settings hold until the next start: the network has agreed on most of them, and the rest would tear links.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from p2pnet.agent.allow_list import AllowList
from p2pnet.agent.logs import open_handler
from p2pnet.agent.options import log_options, network_options
from p2pnet.config import Settings
from p2pnet.protocol.core.types import PeerId

_APPLIED: Final = frozenset({"log.level", "log.file", "log.format", "security.allowed_peers"})


@final
class Reloading:
    """The settings in force, and those that a later reading changes."""

    def __init__(
        self, settings: Settings, read: Callable[[], Settings], allow_list: AllowList, log: logging.Logger
    ) -> None:
        """`read` reads the settings as at the start."""
        self._at_start = self._latest = settings
        self._read = read
        self._allow_list = allow_list
        self._log = log
        self._revoked: set[PeerId] = set()

    def take_revoked(self) -> set[PeerId]:
        """Remove and return the keys that are allowed no more, for their connections to be closed."""
        revoked, self._revoked = self._revoked, set()
        return revoked

    def reload(self) -> Mapping[str, Any]:
        """Put in force what can be, and return the names of the settings that changed: `applied`, and those that hold
        from the next start on, `waiting`. P2pnetError, and nothing changed, where the new settings are wrong.
        """
        new = self._read()
        options = log_options(new)
        handler = open_handler(options)
        for old in [each for each in self._log.handlers if isinstance(each, logging.StreamHandler)]:
            self._log.removeHandler(old)
            old.close()
        self._log.addHandler(handler)
        self._log.setLevel(options.level.upper())
        _, removed = self._allow_list.replace(network_options(new).allowed)
        self._revoked |= {peer for peer in removed if peer not in self._allow_list}  # which members may still be
        applied = sorted(_changed(self._latest, new) & _APPLIED)
        waiting = sorted(_changed(self._at_start, new) - _APPLIED)
        self._latest = new
        self._log.info("the settings are read anew: %s", ", ".join(applied) or "nothing new")
        if waiting:
            self._log.warning("%s: in force from the next start on", ", ".join(waiting))
        return {"applied": applied, "waiting": waiting}


def _changed(before: Settings, after: Settings) -> set[str]:
    """The settings, as `section.key`, that differ."""
    return {
        f"{section}.{key}"
        for section in type(after).model_fields
        for key, value in getattr(after, section)
        if value != getattr(getattr(before, section), key)
    }
