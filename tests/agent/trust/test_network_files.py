"""The files of a network: nothing of them is lost in silence."""

import os
from pathlib import Path

import pytest

from p2pnet.agent.trust.network_files import NetworkFiles
from p2pnet.agent.trust.signing import Recovery
from p2pnet.errors import SecurityError, TrainingError
from p2pnet.protocol.trust.records import Admission, SignedRecord
from tests.agent.trust.conftest import Home


def some_record(home: Home, name: str = "bob") -> SignedRecord:
    root = NetworkFiles(home.directory / "network").root()
    assert root is not None
    return root.sign(home.founded.genesis.network_id, Admission(name, bytes(32), name))


def test_records_are_there_again(home: Home) -> None:
    files = NetworkFiles(home.records.parent)
    roster = files.roster()
    files.append([some_record(home).data])
    assert {*NetworkFiles(home.records.parent).roster().allowed} == {*roster.allowed, "bob"}


def test_a_record_stands_there_once_whoever_appends(home: Home) -> None:
    one, other = NetworkFiles(home.records.parent), NetworkFiles(home.records.parent)
    for files in (one, other):
        files.roster()
    record = some_record(home)
    one.append([record.data, record.data])
    assert other.new_records() == [record.data]
    other.append([record.data])
    assert len(home.records.read_text().splitlines()) == 4
    assert other.new_records() == []


def test_all_files_are_for_their_owner_alone(home: Home) -> None:
    home.management().invite("bob", 60, (), 0.0)
    assert {path.name: path.stat().st_mode & 0o777 for path in home.records.parent.iterdir()} == {
        "records": 0o600,
        "invitations": 0o600,
        "root.key": 0o600,
    }


def test_a_line_that_power_has_cut_off_is_dropped_and_the_next_one_stands_whole(home: Home) -> None:
    with home.records.open("ab") as file:
        file.write(b"rmfrggzdf")
    files = NetworkFiles(home.records.parent)
    assert len(files.roster()) == 2
    files.append([some_record(home).data])
    assert "bob" in NetworkFiles(home.records.parent).roster().allowed


@pytest.mark.parametrize("number", [1, 2, 3])
def test_any_other_damage_is_named_with_its_line(home: Home, number: int) -> None:
    lines = home.records.read_bytes().splitlines()
    lines[number - 1] = lines[number - 1][:30] + b"a" + lines[number - 1][31:]
    lines[number - 1] = lines[number - 1][:40] + b"77" + lines[number - 1][42:]
    home.records.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(SecurityError, match=f"line {number} is damaged; restore the file"):
        NetworkFiles(home.records.parent).roster()


def test_missing_records_are_an_error_too(home: Home) -> None:
    home.records.unlink()
    with pytest.raises(SecurityError, match="restore the directory from a backup"):
        NetworkFiles(home.records.parent).roster()


def test_a_forged_record_on_disk_is_an_error(home: Home) -> None:
    record = some_record(home)
    forged = SignedRecord(Admission("eve", bytes(32), "eve"), record.signer, record.signature)
    NetworkFiles(home.records.parent).append([forged.data])
    with pytest.raises(SecurityError, match="of eve is not signed right"):
        NetworkFiles(home.records.parent).roster()


def test_a_disk_that_takes_nothing_is_an_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before = home.records.read_bytes()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(TrainingError, match="No space left"):
        NetworkFiles(home.records.parent).append([some_record(home).data])
    assert home.records.read_bytes() == before


def test_no_link_is_followed(home: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    home.records.rename(elsewhere)
    home.records.symlink_to(elsewhere)
    with pytest.raises(SecurityError, match="symbolic link"):
        NetworkFiles(home.records.parent).roster()


def test_no_signing_key_replaces_another(home: Home) -> None:
    with pytest.raises(SecurityError, match="there already"):
        NetworkFiles(home.records.parent).save_root(Recovery.make().root)
