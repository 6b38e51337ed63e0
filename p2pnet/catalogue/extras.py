"""Libraries that are installed only with an extra of p2pnet."""

from __future__ import annotations

import importlib
from typing import Any

from p2pnet.errors import ConfigError


def import_extra(module: str, extra: str) -> Any:
    """The module, imported now; ConfigError says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise ConfigError(f"this needs {library}, which is not installed: pip install 'p2pnet[{extra}]'") from error
