"""Addresses and public keys as they are written in agent.toml."""

import re
from typing import Annotated

from pydantic import AfterValidator

_ADDRESS = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})")
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
WILDCARD_HOSTS = frozenset({"0.0.0.0", "*", "[::]"})  # noqa: S104  (recognised, not bound here)


def split_address(address: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        raise ValueError('must be an address such as "tcp://192.0.2.7:7070"')
    return match["host"], int(match["port"])


def _check_dialable(address: str) -> str:
    host, port = split_address(address)
    if host in WILDCARD_HOSTS or port == 0:
        raise ValueError('must be an address that others can dial, such as "tcp://192.0.2.7:7070"')
    return address


def _check_bind(address: str) -> str:
    if address != "none":
        split_address(address)
    return address


def _check_public_key(key: str) -> str:
    if len(key) != 40 or not all(_is_z85_word(key[start : start + 5]) for start in range(0, 40, 5)):
        raise ValueError("must be a public key of 40 characters (Z85), as `p2pnet keygen` prints it")
    return key


def _is_z85_word(word: str) -> bool:
    """Whether five characters stand for 32 bits: of the 85⁵ words some stand for more."""
    digits = [_Z85.find(character) for character in word]
    return -1 not in digits and sum(digit * 85**power for power, digit in enumerate(reversed(digits))) < 2**32


DialAddress = Annotated[str, AfterValidator(_check_dialable)]
BindAddress = Annotated[str, AfterValidator(_check_bind)]
PublicKey = Annotated[str, AfterValidator(_check_public_key)]
