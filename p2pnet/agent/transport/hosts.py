"""Resolution of host names."""

import ipaddress
import socket

_FAR_AWAY = ("192.0.2.1", "2001:db8::1")
"""Addresses that are nobody's (RFC 5737, RFC 3849): the way there is the way out."""
_ANY_PORT = 9


def resolve(host: str) -> list[str]:
    """Resolve a host to numeric addresses; OSError or UnicodeError where the name does not resolve.

    A link-local address keeps its scope (fe80::1%eth0), without which it leads nowhere.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # The text in what getaddrinfo returns leaves out the scope.
    in_numbers = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    return list(dict.fromkeys(socket.getnameinfo(where, in_numbers)[0] for *_, where in found))


def own_host(name: str, towards: str | None) -> str:
    """The name or address of this machine that others can dial: `name`, unless it resolves to the loopback alone.

    On Debian a machine's name is 127.0.1.1 to the machine itself, and often to nobody else. Then it is the address of
    the interface that leads to the host `towards`, or to the internet; nothing is sent to find it. `name` again where
    there is no such interface.
    """
    try:
        if not all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in resolve(name)):
            return name
    except (OSError, UnicodeError):
        pass  # others may know the name
    for host in (towards, *_FAR_AWAY):
        if host is not None and (address := _address_towards(host)) is not None:
            return address
    return name


def _address_towards(host: str) -> str | None:
    """The own address on the way to a host; None where there is no way, or the loopback is."""
    try:
        for address in resolve(host):
            is_v6 = ":" in address
            with socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((address, _ANY_PORT))
                own: str = probe.getsockname()[0]
            if not ipaddress.ip_address(own.partition("%")[0]).is_loopback:
                return f"[{own}]" if is_v6 else own
    except (OSError, UnicodeError):
        return None
    return None


def is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
