"""Resolution of host names."""

import ipaddress
import socket


def resolve(host: str) -> list[str]:
    """Resolve a host to numeric addresses; OSError or UnicodeError where the name does not resolve.

    A link-local address keeps its scope (fe80::1%eth0), without which it leads nowhere.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # The text in what getaddrinfo returns leaves out the scope.
    in_numbers = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    return list(dict.fromkeys(socket.getnameinfo(where, in_numbers)[0] for *_, where in found))


def is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
