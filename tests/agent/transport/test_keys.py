"""Key files and public keys: what is accepted, and what each refusal says."""

import os
import stat
from pathlib import Path

import pytest
import zmq
import zmq.auth
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

from p2pnet.agent.transport.keys import (
    KeyPair,
    generate_keys,
    load_keys,
    parse_allow_list,
    parse_public_key,
    write_keys,
)
from p2pnet.errors import SecurityError


def test_written_keys_are_loaded_again(tmp_path: Path) -> None:
    keys = generate_keys()
    write_keys(tmp_path / "new" / "agent.key", keys)
    assert load_keys(tmp_path / "new" / "agent.key") == keys


def test_a_fresh_pair_belongs_together_and_is_new_each_time() -> None:
    keys = generate_keys()
    assert zmq.curve_public(keys.secret.encode()) == keys.public.encode()
    assert generate_keys() != keys


def test_the_file_is_a_zeromq_certificate(tmp_path: Path) -> None:
    keys = generate_keys()
    write_keys(tmp_path / "agent.key", keys)
    assert zmq.auth.load_certificate(tmp_path / "agent.key") == (keys.public.encode(), keys.secret.encode())


def test_only_the_owner_can_read_the_file_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_keys(tmp_path / "agent.key", generate_keys())
    assert stat.S_IMODE((tmp_path / "agent.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["agent.key"]


def test_a_key_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    first, second = generate_keys(), generate_keys()
    path = tmp_path / "agent.key"
    write_keys(path, first)
    with pytest.raises(SecurityError, match=r"agent\.key: there is a key already"):
        write_keys(path, second)
    assert load_keys(path) == first
    write_keys(path, second, is_replacing=True)
    assert load_keys(path) == second
    assert len(list(tmp_path.iterdir())) == 1


def test_a_key_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecurityError, match=r"file/agent\.key"):
        write_keys(tmp_path / "file" / "agent.key", generate_keys())


def test_printing_a_key_pair_keeps_the_secret() -> None:
    keys = generate_keys()
    assert keys.secret not in f"{keys!r} {keys}"


def test_a_missing_key_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match=r"agent\.key: there is no key file here; make one with: p2pnet keygen"):
        load_keys(tmp_path / "agent.key")


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o601, 0o644, 0o660])
def test_a_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "agent.key"
    write_keys(path, generate_keys())
    path.chmod(mode)
    with pytest.raises(SecurityError, match="chmod 600"):
        load_keys(path)


def owned_by(path: Path, user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make files seem to be this user's: only root could give them away."""
    fstat = os.fstat

    def status(descriptor: int) -> os.stat_result:
        found = list(fstat(descriptor))
        if found[stat.ST_INO] == path.stat().st_ino:
            found[stat.ST_UID] = user
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", status)


@pytest.mark.parametrize(
    ("mode", "owner", "user", "is_accepted"),
    [
        (0o440, 0, 0, True),
        (0o640, 0, 1000, True),
        (0o400, 1000, 1000, True),
        (0o660, 0, 1000, False),
        (0o644, 0, 1000, False),
        (0o640, 1000, 1000, False),
        (0o600, 1000, 0, False),
        (0o600, 1000, 1001, False),
    ],
)
def test_a_key_is_the_users_own_or_roots_that_a_group_may_read_as_secrets_are_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, user: int, is_accepted: bool
) -> None:
    path = tmp_path / "agent.key"
    keys = generate_keys()
    write_keys(path, keys)
    path.chmod(mode)
    owned_by(path, owner, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if is_accepted:
        assert load_keys(path) == keys
        return
    with pytest.raises(SecurityError, match=r"chmod 600|chown"):
        load_keys(path)


def test_a_link_to_a_key_is_followed_as_mounted_secrets_are_links(tmp_path: Path) -> None:
    keys = generate_keys()
    write_keys(tmp_path / "..data" / "agent.key", keys)
    (tmp_path / "agent.key").symlink_to("..data/agent.key")
    assert load_keys(tmp_path / "agent.key") == keys


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "agent.key", 0o600)
    with pytest.raises(SecurityError, match="no regular file"):
        load_keys(tmp_path / "agent.key")


def test_a_file_far_too_large_for_a_key_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "agent.key"
    path.touch(0o600)
    os.truncate(path, 300_000_000)
    with pytest.raises(SecurityError, match="300000000 bytes are too many for a key"):
        load_keys(path)


@pytest.mark.parametrize("place", ["open", "linked"])
def test_a_key_that_anyone_may_replace_is_refused(tmp_path: Path, place: str) -> None:
    keys, path = generate_keys(), tmp_path / "open" / "agent.key"
    write_keys(path, keys)
    path.parent.chmod(0o777)
    if place == "linked":
        (tmp_path / "agent.key").symlink_to(path)
        path = tmp_path / "agent.key"
    with pytest.raises(SecurityError, match=r"others may replace this secret key; run: chmod o-w .*/open$"):
        load_keys(path)
    (tmp_path / "open").chmod(0o1777)  # sticky: others may only add files
    assert load_keys(path) == keys


def test_a_refused_key_leaves_no_descriptor_open(tmp_path: Path) -> None:
    path = tmp_path / "agent.key"
    write_keys(path, generate_keys())
    path.chmod(0o644)
    n_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        with pytest.raises(SecurityError):
            load_keys(path)
    assert len(os.listdir("/proc/self/fd")) == n_before  # noqa: PTH208


def certificate(public: str, secret: str) -> bytes:
    return f'curve\n    public-key = "{public}"\n    secret-key = "{secret}"\n'.encode()


ONE, OTHER = generate_keys(), generate_keys()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no public key"),
        (b"\xff\xfe\x00garbage", "no public key"),
        (f'curve\n public-key = "{ONE.public}"\n'.encode(), "no secret key"),
        (certificate(ONE.public, ONE.secret[:-1]), "not 40 characters of Z85"),
        (certificate(ONE.public, ONE.secret[:-1] + "~"), "not 40 characters of Z85"),
        (certificate(ONE.public, "#" * 40), "not 40 characters of Z85"),
        (certificate(ONE.public[:-1] + "ä", ONE.secret), "not 40 characters of Z85"),
        (certificate(ONE.public, OTHER.secret), "does not belong"),
    ],
    # The keys are others in each process, and workers that share the tests must call them alike.
    ids=["empty", "garbage", "no secret", "short", "not Z85", "too much for Z85", "not ASCII", "of another pair"],
)
def test_a_damaged_key_file_says_what_is_wrong(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "agent.key"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(SecurityError, match=what) as caught:
        load_keys(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_is_not_a_key(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(SecurityError, match="cannot read"):
        load_keys(tmp_path)


@given(st.binary(min_size=32, max_size=32))
def test_every_32_bytes_are_a_public_key(key: bytes) -> None:
    text = z85.encode(key).decode()
    assert parse_public_key(f"  {text}\n") == text


@given(st.text(max_size=50).filter(lambda text: len(text.strip()) != 40))
def test_a_text_of_another_length_is_no_public_key(text: str) -> None:
    with pytest.raises(SecurityError, match="is not a public key"):
        parse_public_key(text)


@pytest.mark.parametrize("text", ["#" * 40, '"' * 40, "é" * 40, " " * 40, "a" * 39 + "\x00"])
def test_forty_characters_that_are_not_z85_are_no_public_key(text: str) -> None:
    with pytest.raises(SecurityError, match="is not a public key"):
        parse_public_key(text)


def test_the_allow_list_is_the_set_of_its_keys() -> None:
    assert parse_allow_list([ONE.public, f"{OTHER.public}\n", ONE.public]) == {ONE.public, OTHER.public}
    assert parse_allow_list([]) == frozenset()


def test_a_bad_entry_of_the_allow_list_is_named() -> None:
    with pytest.raises(SecurityError, match="bob"):
        parse_allow_list([ONE.public, "bob"])


def test_a_key_pair_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        KeyPair("a", "b").public = "c"  # type: ignore[misc]
