"""`p2pnet check --data`: all that is wrong with a file, and the settings that solve it."""

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from p2pnet.agent.options import data_options
from p2pnet.cli.group import main
from p2pnet.config import read_settings
from p2pnet.data.reading import load_data
from tests.patients import SITES, write_patients


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def p2pnet(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_suggested_settings_read_the_file_and_are_the_same_at_all_sites(here: Path) -> None:
    found = []
    for site, form in SITES.items():
        write_patients(here / f"{site}.csv", site, **form)
        refused = p2pnet("check", "--data", f"{site}.csv", "--target", "outcome")
        assert refused.exit_code == 65
        assert refused.stderr.startswith(f"p2pnet: {site}.csv: 5 problems\n")
        assert len(refused.stderr.splitlines()) == 6
        assert (
            p2pnet("check", "--data", f"{site}.csv", "--target", "outcome", "--suggest", "--out", "s.toml").stdout == ""
        )
        text = (here / "s.toml").read_text(encoding="utf-8")
        assert "# crp: " in text
        found.append(tomllib.loads(text)["data"])
        settings = read_settings(here / "s.toml", environment={})
        train, *_ = load_data(data_options(settings.data))
        assert train.encoding is not None
        assert train.encoding.names == ("admitted", "age", "crp", "sex", "ward")
        p2pnet("keygen", "--force")
        report = p2pnet("check", "s.toml")
        assert report.exit_code == 0
        assert "fit to run" in report.stdout
    for settings_found in found:
        assert settings_found.pop("source").endswith(".csv")
        settings_found["categorical"].sort()
    assert found[0] == found[1] == found[2]
    assert found[0]["ignore"] == ["patient_id"]
    assert (found[0]["missing"], found[0]["dates"], found[0]["categorical"]) == ("mean", ["admitted"], ["sex", "ward"])


def test_a_file_that_is_fit_is_said_to_be(here: Path) -> None:
    (here / "fit.csv").write_text("a,b,y\n" + "1,yes,u\n2,no,v\n" * 20)
    done = p2pnet("check", "--data", "fit.csv")
    assert done.stdout == "fit.csv: fit to train on: 40 rows of 2 features, classification of y into u, v\n"
    assert "column 'a' tells the target 'y' all by itself" in done.stderr
    assert p2pnet("check", "--data", "fit.csv", "--suggest").stdout.splitlines()[:2] == ["[data]", 'source = "fit.csv"']


def test_what_no_setting_solves_is_to_be_done_by_hand(here: Path) -> None:
    (here / "odd.csv").write_text("a,n,d,y\n" + "1,2,2025-01-01,u\n" * 30 + "1,many,2025-01-02,v\n1,2\n")
    text = p2pnet("check", "--data", "odd.csv", "--suggest").stdout
    assert "# To do by hand: line 33: has 2 values, the header names 4 columns" in text
    assert "# To do by hand: column 'n': text 'many' in 1 row (line 32) among numbers; empty it" in text
    tomllib.loads(text)


def test_commas_in_numbers_make_no_categories(here: Path) -> None:
    (here / "odd.csv").write_text("a,y\n" + '"1,200",u\n950,v\n"1,200,000",v\n' * 20)
    text = p2pnet("check", "--data", "odd.csv", "--suggest").stdout
    assert "# To do by hand: column 'a': text '1,200' in 40 rows (lines 2, 4, 5, …) among numbers; with decimal" in text
    assert "categorical" not in tomllib.loads(text)["data"]


def test_a_network_begins_with_a_table_as_it_is_by_the_settings_that_check_suggests(here: Path) -> None:
    write_patients(here / "north.csv", "a", **SITES["a"])
    refused = p2pnet("init", "--network", "ward", "--data", "north.csv", "--set", "data.target=outcome")
    assert refused.exit_code == 65
    assert "5 problems; for --settings data.toml, p2pnet check --data north.csv --suggest --out data" in refused.stderr
    assert sorted(path.name for path in here.iterdir()) == ["north.csv"]
    p2pnet("check", "--data", "north.csv", "--target", "outcome", "--suggest", "--out", "data.toml")
    assert p2pnet("init", "--network", "ward", "--settings", "data.toml").exit_code == 0
    assert "1 member of the network ward" in p2pnet("check").stdout


def test_what_is_suggested_is_tried_by_flags(here: Path) -> None:
    (here / "t.csv").write_text("a,y\n" + '"1,5",u\n"2,5",v\n' * 20)
    assert p2pnet("check", "--data", "t.csv").exit_code == 65
    assert p2pnet("check", "--data", "t.csv", "--set", "data.decimal=,").exit_code == 0
    assert 'decimal = ","' in p2pnet("check", "--data", "t.csv", "--set", "data.decimal=,", "--suggest").stdout
    refused = p2pnet("check", "--data", "t.csv", "--set", "data.decimals=,")
    assert refused.stderr == "p2pnet: command line: data.decimals: no such setting; did you mean data.decimal?\n"


def test_text_of_a_file_never_leaves_its_comment(here: Path) -> None:
    (here / "odd.csv").write_text('a,"b\nsource = 1",y\n' + '1,"x\ny",u\n2,z,v\n' * 20)
    text = p2pnet("check", "--data", "odd.csv", "--suggest").stdout
    assert tomllib.loads(text)["data"]["categorical"] == ["b\nsource = 1"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["check", "agent.toml", "--data", "x.csv"], "give AGENT_TOML, or samples with --data"),
        (["check", "agent.toml", "--suggest"], "--target, --suggest and --out go with --data"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], what: str) -> None:
    done = p2pnet(*arguments)
    assert done.exit_code == 2
    assert what in done.stderr
