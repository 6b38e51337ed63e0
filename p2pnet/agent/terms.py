"""What a machine that joins is told of the settings: what all agents of a network must have alike, and no more.

Never among them are paths, `[data]`, names, addresses, or what suits one machine alone. Where code of somebody's own
stands among them, a factory or a loss of a package, it is named, so that the new machine's user can allow it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from p2pnet.agent.options import network_options
from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.catalogue.losses import LOSSES
from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.registry import Registry
from p2pnet.catalogue.solvers import SOLVERS
from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.catalogue.surrogates import SURROGATES
from p2pnet.config import Settings
from p2pnet.errors import SecurityError
from p2pnet.protocol.core.types import PeerId
from p2pnet.protocol.messages.joining import MAX_SEEDS, MAX_SETTINGS_LENGTH

_OF_A_MACHINE: Final = frozenset(
    {"model.device", "algorithm.workers", "algorithm.local_step_s", "algorithm.compare_alone_s"}
)
_OF_THE_NETWORK: Final = frozenset(
    {
        *(
            "network.preset",
            "network.precision",
            "network.discovery",
            "network.max_diameter",
            "network.round_timeout_s",
        ),
        *(
            "network.min_agents",
            "network.round_pace_s",
            "network.start_timeout_s",
            "network.finish_timeout_s",
            "service.keep_running",
        ),
    }
)
_WHOLE_SECTIONS: Final = ("model", "objective", "algorithm")
_NAMED_CODE: Final[Mapping[str, Registry[Any]]] = {
    "model.activation": ACTIVATIONS,
    "objective.loss": LOSSES,
    "objective.penalty": PENALTIES,
    "algorithm.solver": SOLVERS,
    "algorithm.surrogate": SURROGATES,
    "algorithm.step_rule": STEP_RULES,
}
"""Settings that name code, with what p2pnet has itself."""


def is_term(key: str) -> bool:
    """Whether a setting `section.key` is told to, and taken over by, a machine that joins."""
    return key in _OF_THE_NETWORK or (key.partition(".")[0] in _WHOLE_SECTIONS and key not in _OF_A_MACHINE)


@final
@dataclass(frozen=True, slots=True)
class Terms:
    """What a machine that is admitted is told besides records."""

    settings: str
    """what differs from the defaults, as JSON by `section.key`"""
    seeds: tuple[tuple[PeerId, str], ...]
    """agents that this one begins with, with their addresses"""
    is_static: bool
    """whether agents name their neighbors"""


def terms_of(settings: Settings) -> Terms:
    """What the agent with these settings tells; SecurityError where that is more than a message holds."""
    tables = settings.model_dump(mode="json", exclude_defaults=True)
    values = {f"{section}.{key}": value for section, table in tables.items() for key, value in table.items()}
    text = json.dumps({key: value for key, value in sorted(values.items()) if is_term(key)})
    if len(text) > MAX_SETTINGS_LENGTH:
        raise SecurityError(f"the settings that all agents share are longer than {MAX_SETTINGS_LENGTH} characters")
    network = network_options(settings)
    seeds = tuple((peer.key, peer.address) for peer in network.named if peer.address is not None)
    return Terms(text, seeds[:MAX_SEEDS], is_static=bool(network.neighbors))


def read_terms(text: str, allowed_code: Iterable[str]) -> Mapping[str, Any]:
    """The values that an inviter has told, by `section.key`; SecurityError where one is not to be told, or names code
    that is not allowed.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise SecurityError("the inviter's settings cannot be read; install its release of p2pnet")
    foreign = next((key for key in values if not is_term(key)), None)
    if foreign is not None:
        raise SecurityError(
            f"the inviter tells {foreign[:80]}, which is this machine's own to set; nothing is taken over"
        )
    missing = [name for name in _code_in(values) if name not in set(allowed_code)]
    if missing:
        flags = " ".join(f"--allow-code {name}" for name in missing)
        raise SecurityError(
            f"the network runs code of its own, {', '.join(missing)}: install it here, and join by the same line with "
            f"{flags}"
        )
    return values


def _code_in(values: Mapping[str, Any]) -> list[str]:
    """Names of code that p2pnet does not bring itself."""
    named = {key: str(values[key]).partition(":")[0] for key in _NAMED_CODE if key in values}
    found = [name for key, name in named.items() if name != "auto" and name not in _NAMED_CODE[key].built_in_names]
    return [*([str(values["model.factory"])] if values.get("model.factory") else []), *found]
