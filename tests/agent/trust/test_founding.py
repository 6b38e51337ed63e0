"""The beginning of a network, and what becomes of it when its signing key is lost."""

from pathlib import Path

import pytest

from p2pnet.agent.options import network_options
from p2pnet.agent.transport.keys import load_keys
from p2pnet.agent.trust.founding import found, recover
from p2pnet.agent.trust.renewal import renew_key
from p2pnet.agent.trust.signing import Recovery
from p2pnet.config import read_settings
from p2pnet.errors import ConfigError, SecurityError
from tests.agent.trust.conftest import Home


def test_the_first_member_stands_admitted_and_may_invite_and_revoke(home: Home) -> None:
    (member,) = home.management().members()
    assert (member.name, member.admitted_by) == ("ann", "the signing key")
    assert member.rights == "may invite and revoke, 256 at most"


def test_agent_toml_is_complete(home: Home) -> None:
    settings = read_settings(home.agent_toml, environment={})
    assert settings.security.network == home.directory / "network"
    assert settings.network.bind.startswith("tcp://0.0.0.0:7")


def test_two_networks_of_one_name_are_two(home: Home, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "samples.csv").write_text("x,y\n1,2\n")
    founded = found("ward", other / "agent.toml", {"data.source": "samples.csv"})
    assert founded.genesis.network_id != home.founded.genesis.network_id


@pytest.mark.parametrize("file", ["agent.toml", "network/records"])
def test_nothing_is_written_over(home: Home, file: str) -> None:
    (home.agent_toml if file != "agent.toml" else home.records).unlink()
    with pytest.raises(ConfigError, match="already; choose another directory"):
        found("ward", home.agent_toml, {"data.source": "samples.csv"})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "samples are not named yet; add --data"),
        ({"data.source": "nowhere.csv"}, "nowhere.csv: there is no such file"),
        ({"data.source": "samples.csv", "network.bind": "here"}, "network.bind"),
    ],
)
def test_a_wrong_setting_leaves_nothing_behind(tmp_path: Path, values: dict[str, str], reason: str) -> None:
    (tmp_path / "samples.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ConfigError, match=reason):
        found("ward", tmp_path / "agent.toml", values)
    assert [path.name for path in tmp_path.iterdir()] == ["samples.csv"]


def test_a_lost_signing_key_is_made_anew_by_the_recovery_line(home: Home) -> None:
    root_key = home.directory / "network" / "root.key"
    root_key.unlink()
    with pytest.raises(SecurityError, match="only the network's signing key grants"):
        home.management().grant("ann", may_revoke=True, quota=5)
    recover(home.management().files, home.founded.recovery_line)
    home.management().grant("ann", may_revoke=True, quota=5)


def test_another_networks_recovery_line_is_refused(home: Home) -> None:
    with pytest.raises(SecurityError, match="of another network than ward"):
        recover(home.management().files, Recovery.make().to_line())


def test_the_recovery_line_is_nowhere_on_disk(home: Home) -> None:
    secret = home.founded.recovery_line.removeprefix("recovery")[:24]
    for path in home.directory.rglob("*"):
        if path.is_file():
            assert secret not in path.read_text(), path
    assert home.founded.recovery_line not in repr(home.founded)


def test_the_first_members_key_is_not_replaced_since_it_signs(home: Home) -> None:
    key_file = home.directory / "agent.key"
    settings = read_settings(home.agent_toml)
    with pytest.raises(SecurityError, match="may invite or revoke is not replaced"):
        renew_key(home.management(), key_file, network_options(settings))
    assert load_keys(key_file) == home.management().keys
    assert not key_file.with_name("agent.key.new").exists()
