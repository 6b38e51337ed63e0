"""Members of the network that an agent has known, in its state directory: seeds of its next start.

An agent whose seeds do not run finds the network by them, as when all have restarted but the one that was the first.
They are hints like any address: who answers there has to prove its key.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, final

from p2pnet.agent.atomic_files import write_atomically
from p2pnet.agent.private_files import read_private
from p2pnet.errors import TrainingError, TransportError
from p2pnet.protocol.core.address import Address
from p2pnet.protocol.core.types import PeerId

MAX_KEPT: Final = 32
PAUSE_S: Final = 10.0
"""From one look at who is there to the next, once there is somebody; what has not changed is not written again."""
_MAX_BYTES: Final = 2**16


@final
class KnownMembers:
    """The file `members`: public keys and addresses."""

    def __init__(self, directory: Path, log: logging.Logger, clock: Callable[[], float]) -> None:
        """`clock` shows seconds that never go back."""
        self._path = directory / "members"
        self._log = log
        self._clock = clock
        self._kept: Mapping[PeerId, str] = {}
        self._due_at = -math.inf
        self._is_told = False

    def read(self) -> Mapping[PeerId, str]:
        """Addresses by public key as they were kept last; none where the file is missing or damaged."""
        try:
            found = json.loads(read_private(self._path, _MAX_BYTES))
            self._kept = {str(peer): str(Address.parse(where)) for peer, where in islice(found.items(), MAX_KEPT)}
        except FileNotFoundError:
            self._kept = {}
        except (OSError, ValueError, AttributeError, TypeError, RecursionError, TransportError) as error:
            self._log.warning("%s: cannot be read, and is made anew: %s", self._path, error)
            self._kept = {}
        return self._kept

    @property
    def is_due(self) -> bool:
        """Whether it is time to look who is there."""
        return self._clock() >= self._due_at

    def keep(self, addresses: Mapping[PeerId, str]) -> None:
        """Write where members are, where that has changed; one that is alone keeps those whom it knew."""
        if not addresses:
            return
        self._due_at = self._clock() + PAUSE_S
        newest = dict(islice(sorted(addresses.items()), MAX_KEPT))
        if newest == self._kept:
            return
        try:
            write_atomically(self._path, json.dumps(newest, indent=2).encode() + b"\n")
            self._kept = newest
        except TrainingError as error:
            if not self._is_told:
                self._log.warning("%s", error)
            self._is_told = True
