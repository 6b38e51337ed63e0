"""CURVE key pairs and the allow-list of public keys.

A peer's identity is its public key, written in Z85: 40 printable characters for 32 bytes (ZeroMQ RFC 32). The secret
key stays in one file, in ZeroMQ's own certificate format, which its owner alone may read, or a group that root lets.
"""

import os
import secrets
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from p2pnet.errors import SecurityError

_N_KEY_CHARACTERS = 40
_N_KEY_BYTES = 32
_MOST_BYTES = 4096
_OPEN_TO_OTHERS = 0o077
_MORE_THAN_READABLE_BY_GROUP = 0o037

_CERTIFICATE = """\
#   ZeroMQ CURVE **Secret** Certificate
#   A person who reads this file can pass for this agent: do not copy it, and leave it readable by its owner alone.

metadata
curve
    public-key = "{public}"
    secret-key = "{secret}"
"""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair, both halves in Z85; printing it never shows the secret."""

    public: str
    secret: str = field(repr=False)


def generate_keys() -> KeyPair:
    """Generate a CURVE key pair from the operating system's random source."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))


def write_keys(path: Path, keys: KeyPair, *, is_replacing: bool = False) -> None:
    """Write the certificate atomically with mode 0600.

    A key that is already there is an agent's identity, so it is kept and a SecurityError raised, unless is_replacing.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(_CERTIFICATE.format(public=keys.public, secret=keys.secret))
                file.flush()
                os.fsync(file.fileno())
            if is_replacing:
                draft.replace(path)
            else:
                path.hardlink_to(draft)  # unlike a rename, a link fails when the name is taken
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError:
        raise SecurityError(
            f"{path}: there is a key already; move it away first, the agent that used it is known by it"
        ) from None
    except OSError as error:
        raise SecurityError(f"{path}: cannot write the key: {error.strerror}; choose another place") from error


def load_keys(path: Path) -> KeyPair:
    """Read the key pair in a certificate file, which a link may lead to, as it does in mounted secrets.

    SecurityError when the file is missing or no regular file, when it is too large for a key, when anyone but its owner
    may change it, or read it (`_check_status`), or when it is damaged: no key in it, a key that is not Z85, or two
    halves that do not belong together. What is judged is the file that was opened, not one that stands there later.
    """
    try:
        for directory in {path.absolute().parent, path.resolve().parent}:
            _check_directory(path, directory)
        # Without O_NONBLOCK, opening a FIFO waits for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check_status(path, os.fstat(descriptor))
            content = os.read(descriptor, _MOST_BYTES)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise SecurityError(
            f"{path}: there is no key file here; make one with: p2pnet keygen --output {path}"
        ) from None
    except OSError as error:
        raise SecurityError(f"{path}: cannot read the key: {error.strerror}") from error
    public, secret = _key_in(content, b"public-key"), _key_in(content, b"secret-key")
    if public is None:
        raise _damaged(path, "it holds no public key")
    if secret is None:
        raise _damaged(path, "it holds no secret key")
    if not _is_key(public) or not _is_key(secret):
        raise _damaged(path, "a key in it is not 40 characters of Z85")
    if zmq.curve_public(secret) != public:
        raise _damaged(path, "its public key does not belong to its secret key")
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))


def _check_status(path: Path, status: os.stat_result) -> None:
    """SecurityError unless it is a regular file as small as a key, and this user's own and closed to all others, or
    root's and at most readable by its group, as secrets are that a system mounts.
    """
    if not stat.S_ISREG(status.st_mode):
        raise SecurityError(f"{path}: cannot read the key: this is no regular file; name the file that holds it")
    if status.st_size > _MOST_BYTES:
        raise SecurityError(f"{path}: {status.st_size} bytes are too many for a key; name the file that holds it")
    if status.st_uid not in {0, os.geteuid()}:
        raise SecurityError(
            f"{path}: this secret key is that of user {status.st_uid}; run: chown {os.geteuid()} {path}"
        )
    forbidden = _MORE_THAN_READABLE_BY_GROUP if status.st_uid == 0 else _OPEN_TO_OTHERS
    if status.st_mode & forbidden:
        raise SecurityError(f"{path}: others may read or change this secret key; run: chmod 600 {path}")


def _check_directory(path: Path, directory: Path) -> None:
    """SecurityError where anyone may replace what stands in the directory."""
    mode = directory.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise SecurityError(f"{path}: others may replace this secret key; run: chmod o-w {directory}")


def _key_in(content: bytes, name: bytes) -> bytes | None:
    """The value of a line `name = "value"`; None where there is none."""
    for line in content.splitlines():
        found, equals, value = line.strip().partition(b"=")
        if equals and found.strip() == name:
            return value.strip(b" \t'\"")
    return None


def parse_public_key(text: str) -> str:
    """Parse a public key, surrounding white space removed; SecurityError where the text is none."""
    key = text.strip()
    if not key.isascii() or not _is_key(key.encode("ascii")):
        raise SecurityError(
            f"{text!r} is not a public key: expected 40 characters of Z85, as printed by p2pnet keygen, got {len(key)}"
        )
    return key


def parse_allow_list(texts: Iterable[str]) -> frozenset[str]:
    """Parse the set of public keys that may connect; SecurityError for the first text that is no key."""
    return frozenset(parse_public_key(text) for text in texts)


def _is_key(key: bytes) -> bool:
    if len(key) != _N_KEY_CHARACTERS:
        return False
    try:
        return len(z85.decode(key)) == _N_KEY_BYTES
    except (KeyError, struct.error):
        return False


def _damaged(path: Path, what: str) -> SecurityError:
    return SecurityError(f"{path}: the key file is damaged: {what}; restore it, or make a new one with p2pnet keygen")
