"""Bytes as one line of letters and digits, which no shell, editor or mail program changes, with a checksum.

A line is a word that says what it is, then base32 in small letters of the bytes and five bytes of their hash. White
space and capital letters, as a terminal or a phone may put them in, make no difference.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from p2pnet.errors import SecurityError

_CHECK_BYTES: Final = 5


def to_line(word: str, data: bytes) -> str:
    """The bytes as a line that begins with `word`."""
    return word + base64.b32encode(data + _checksum(word, data)).decode("ascii").rstrip("=").lower()


def from_line(word: str, text: str) -> bytes:
    """The bytes of a line; SecurityError, which does not repeat the line, where it is none or was altered."""
    line = "".join(text.split()).lower()
    if not line.startswith(word):
        raise SecurityError(
            f"this is no line that begins with {word!r}; copy it whole, from the first sign to the last"
        )
    encoded = line.removeprefix(word).upper()
    try:
        content = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
    except (binascii.Error, ValueError):
        content = b""
    data, checksum = content[:-_CHECK_BYTES], content[-_CHECK_BYTES:]
    if not data or checksum != _checksum(word, data):
        raise SecurityError(f"the line that begins with {word!r} was altered or cut off; copy it whole once more")
    return data


def _checksum(word: str, data: bytes) -> bytes:
    return hashlib.blake2b(word.encode() + data, digest_size=_CHECK_BYTES).digest()
