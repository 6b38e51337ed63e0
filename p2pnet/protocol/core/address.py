"""TCP addresses: parsing and formatting."""

from __future__ import annotations

from dataclasses import dataclass

from p2pnet.errors import TransportError


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address: host name or numeric address, and port; '*' stands for all interfaces."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse 'tcp://host:port' or 'host:port', with IPv6 in brackets; TransportError where it is no address."""
        host, colon, port = text.removeprefix("tcp://").rpartition(":")
        is_bracketed = host.startswith("[") and host.endswith("]")
        bare_host = host[1:-1] if is_bracketed else host
        is_host = bare_host and (is_bracketed or ":" not in bare_host) and not set(bare_host) & set("/[]@, \t")
        if not (colon and is_host and port.isascii() and port.isdigit() and int(port) < 2**16):
            raise TransportError(
                f"{text!r} is not an address: expected host:port or tcp://host:port, with IPv6 as [::1]:7070"
            )
        return cls(bare_host, int(port))

    def __str__(self) -> str:
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"
