"""The options of the page, checked."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

from p2pnet.agent.private_files import create_anew, read_private
from p2pnet.config import Settings
from p2pnet.errors import ConfigError

_TOKEN_BYTES: Final = 24
_MAX_TOKEN_FILE_BYTES: Final = 1024
_LEAST_TOKEN_LENGTH: Final = 20


@final
@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a TLS certificate with its chain, and of its key."""

    chain: Path
    key: Path


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BindAddress:
    """Where the page listens."""

    host: str
    """an IP address, or a name"""
    port: int
    """0: any that is free"""

    @classmethod
    def parse(cls, text: str) -> Self:
        """HOST:PORT, an IPv6 address in brackets; ConfigError for what is not."""
        host, separator, port = text.rpartition(":")
        if not (separator and port.isascii() and port.isdigit() and int(port) < 2**16 and host.strip("[]")):
            raise ConfigError(f"--bind {text}: must be HOST:PORT, such as 127.0.0.1:7170 or [::1]:7170")
        return cls(host=host.removeprefix("[").removesuffix("]"), port=int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        address = _ip_address(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    @property
    def is_everywhere(self) -> bool:
        """Whether it is no address of its own, but all of this machine."""
        address = _ip_address(self.host)
        return address is not None and address.is_unspecified

    @property
    def url_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """What `p2pnet page` serves, where, and to whom."""

    state_dir: Path
    """of the agent"""
    bind: BindAddress
    names: frozenset[str]
    """hosts by which browsers may call the page"""
    token: str
    """what a browser shows to be let in"""
    certificate: Certificate | None
    is_predicting: bool
    max_body_bytes: int
    factory: str | None
    """of a model of one's own"""


def page_options(
    settings: Settings,
    *,
    bind: str,
    names: Collection[str] = (),
    certificate: Path | None = None,
    key: Path | None = None,
    token_file: Path | None = None,
) -> PageOptions:
    """The options; ConfigError where the page would be open to eavesdroppers, or under no name."""
    address = BindAddress.parse(bind)
    if (certificate is None) != (key is None):
        raise ConfigError("--certificate and --key: give both, or none of them")
    if certificate is None and not address.is_loopback:
        raise ConfigError(
            f"--bind {bind}: others can reach this address, so give --certificate and --key; or bind 127.0.0.1, and "
            "come from elsewhere through `ssh -L`"
        )
    if address.is_everywhere and not names:
        raise ConfigError(f"--bind {bind}: say by --host under which name browsers will call the page")
    own = {"localhost", "127.0.0.1", "[::1]"} if address.is_loopback else set()
    if not address.is_everywhere:
        own.add(address.url_host.lower())
    return PageOptions(
        state_dir=settings.agent.state_dir,
        bind=address,
        names=frozenset({*(name.lower() for name in names), *own}),
        token=secrets.token_urlsafe(_TOKEN_BYTES) if token_file is None else _kept_token(token_file),
        certificate=None if certificate is None or key is None else Certificate(certificate, key),
        is_predicting=settings.page.predict,
        max_body_bytes=settings.page.max_body_bytes,
        factory=settings.model.factory,
    )


def _kept_token(path: Path) -> str:
    """The token in the file, which is made, for its owner alone, where there is none."""
    try:
        if not path.exists():
            with os.fdopen(create_anew(path), "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(_TOKEN_BYTES) + "\n")
        token = read_private(path, _MAX_TOKEN_FILE_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {path}: cannot be used: {error}") from error
    if len(token) < _LEAST_TOKEN_LENGTH or not token.replace("-", "").replace("_", "").isalnum():
        raise ConfigError(
            f"--token-file {path}: must hold at least {_LEAST_TOKEN_LENGTH} letters and digits; remove it for a new one"
        )
    return token


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
