"""Where the page may listen, and by which names and tokens it is reached."""

import stat
from pathlib import Path
from typing import Any

import pytest

from p2pnet.config import settings_of
from p2pnet.errors import ConfigError
from p2pnet.page.options import BindAddress, PageOptions, page_options


def options(bind: str = "127.0.0.1:7170", **flags: Any) -> PageOptions:
    settings = settings_of({"data.source": "samples.csv", "agent.state_dir": "state"}, "a test")
    return page_options(settings, bind=bind, **flags)


@pytest.mark.parametrize(
    ("bind", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:7170", "127.0.0.1", 7170, True),
        ("127.8.9.1:0", "127.8.9.1", 0, True),
        ("localhost:80", "localhost", 80, True),
        ("[::1]:7170", "::1", 7170, True),
        ("192.0.2.7:443", "192.0.2.7", 443, False),
        ("0.0.0.0:443", "0.0.0.0", 443, False),  # noqa: S104
        ("page.example:443", "page.example", 443, False),
    ],
)
def test_addresses(bind: str, host: str, port: int, is_loopback: bool) -> None:
    address = BindAddress.parse(bind)
    assert (address.host, address.port, address.is_loopback) == (host, port, is_loopback)


@pytest.mark.parametrize("bind", ["", "7170", "127.0.0.1", ":7170", "[]:1", "127.0.0.1:http", "127.0.0.1:65536"])
def test_what_is_no_address(bind: str) -> None:
    with pytest.raises(ConfigError, match="must be HOST:PORT"):
        BindAddress.parse(bind)


@pytest.mark.parametrize("bind", ["192.0.2.7:7170", "0.0.0.0:7170", "[::]:7170", "page.example:7170"])
def test_where_others_can_listen_in_there_is_no_page_without_tls(bind: str) -> None:
    with pytest.raises(ConfigError, match="give --certificate and --key"):
        options(bind, names=["page.example"])


def test_a_certificate_without_a_key() -> None:
    with pytest.raises(ConfigError, match="give both, or none"):
        options(certificate=Path("chain.pem"))


def test_all_addresses_have_no_name_of_their_own() -> None:
    files = {"certificate": Path("chain.pem"), "key": Path("key.pem")}
    with pytest.raises(ConfigError, match="say by --host"):
        options("0.0.0.0:443", **files)
    assert options("[::]:443", names=["Page.Example"], **files).names == {"page.example"}


def test_the_loopback_has_its_usual_names() -> None:
    assert options().names == {"localhost", "127.0.0.1", "[::1]"}


def test_each_start_has_a_token_of_its_own_unless_it_is_kept(tmp_path: Path) -> None:
    assert options().token != options().token
    assert len(options().token) >= 32
    file = tmp_path / "token"
    token = options(token_file=file).token
    assert options(token_file=file).token == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "short", "forty letters and more but with blanks", "x" * 2000])
def test_a_token_that_can_be_guessed_or_is_none_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(ConfigError, match="--token-file"):
        options(token_file=file)
