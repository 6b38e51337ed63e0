import gc
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from p2pnet import __version__
from p2pnet.agent.resuming import Beginning
from p2pnet.agent.transport.keys import generate_keys, load_keys
from p2pnet.catalogue.activations import ACTIVATIONS
from p2pnet.catalogue.losses import LOSSES
from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.solvers import SOLVERS
from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.catalogue.surrogates import SURROGATES
from p2pnet.catalogue.topologies import topology_forms
from p2pnet.cli.group import main
from p2pnet.cli.imports import importing
from p2pnet.config import Settings, read_settings
from p2pnet.errors import ConfigError
from p2pnet.experiments.demo.options import DemoOptions
from p2pnet.experiments.options import parse_hidden


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def p2pnet(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def assert_fails_in_one_line(result: Result, exit_code: int, what: str) -> None:
    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert result.stderr.startswith("p2pnet: ")
    assert len(result.stderr.splitlines()) == 1
    assert what in result.stderr


def write_agent(directory: Path) -> None:
    (directory / "agent.toml").write_text('[data]\nsource = "samples.csv"\n')
    rows = "".join(f"{row},{'even' if row % 2 == 0 else 'odd'}\n" for row in range(10))
    (directory / "samples.csv").write_text("x,y\n" + rows)


@pytest.mark.parametrize("arguments", [["--help"], ["simulate", "--help"], ["demo", "--help"], ["run", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """In a process of its own, which says what it has imported."""
    code = f"""
import sys
from p2pnet.cli.group import main
main({arguments!r}, standalone_mode=False)
print("imported:", *{{name.partition(".")[0] for name in sys.modules}})
"""
    shown, _, imported = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.partition("imported:")
    assert "Usage" in shown
    assert not {"numpy", "pydantic", "zmq", "msgpack", "rich", "matplotlib"} & set(imported.split())


def test_help_and_refusals_come_from_the_catalogue() -> None:
    shown = "".join(p2pnet("simulate", "--help").stdout.split())  # lines end anywhere
    for registry in (LOSSES, ACTIVATIONS, SOLVERS, SURROGATES):
        assert "|".join(registry.built_in_names) in shown
    for form in (*PENALTIES.forms, *STEP_RULES.forms, *topology_forms()):
        assert form in shown
    refused = p2pnet("simulate", "--loss", "hubert")
    assert refused.exit_code == 2
    assert "must be one of auto, half-squared" in refused.stderr
    assert "did you mean huber?" in refused.stderr


def test_the_package_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "p2pnet", "--version"], capture_output=True, text=True, check=True)
    assert __version__ in done.stdout


@pytest.mark.usefixtures("here")
def test_a_system_without_file_locks_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    for command in (["check", "agent.toml"], ["demo"], ["keygen"]):
        assert_fails_in_one_line(p2pnet(*command), 78, "p2pnet needs Linux or macOS, on Windows WSL")


def test_version() -> None:
    assert __version__ in p2pnet("--version").stdout


def test_keygen_prints_the_public_key_only_and_keeps_the_secret_to_the_owner(here: Path) -> None:
    result = p2pnet("keygen")

    assert result.exit_code == 0
    assert result.stdout == f"{load_keys(here / 'agent.key').public}\n"
    assert stat.S_IMODE((here / "agent.key").stat().st_mode) == 0o600


def test_the_advice_for_a_missing_key_is_a_command_that_makes_it(here: Path) -> None:
    write_agent(here)
    told = p2pnet("check", "agent.toml").stderr
    _, advice = told.strip().split("make one with: p2pnet ")
    assert p2pnet(*advice.split()).exit_code == 0
    assert p2pnet("check", "agent.toml").exit_code == 0


def test_keygen_replaces_a_key_only_when_forced(here: Path) -> None:
    before = p2pnet("keygen", "--output", "some.key").stdout

    assert_fails_in_one_line(p2pnet("keygen", "--output", "some.key"), 77, "some.key: there is a key already")
    assert load_keys(here / "some.key").public == before.strip()
    assert p2pnet("keygen", "--output", "some.key", "--force").stdout != before
    assert load_keys(here / "some.key").public != before.strip()


def test_check_says_what_would_be_trained_and_as_whom(here: Path) -> None:
    write_agent(here)
    key = p2pnet("keygen").stdout.strip()
    result = p2pnet("check", "agent.toml", "--name", "ann")

    assert result.exit_code == 0
    assert result.stdout == (
        f"agent.toml: fit to run: agent ann ({key}), 0 peers named, 8 training and 2 test samples of 1 feature, "
        "classification into at least 2 classes with loss softmax-cross-entropy\n"
    )


@pytest.mark.parametrize("command", ["check", "run", "page"])
def test_the_agent_toml_is_that_of_the_present_directory_where_none_is_named(here: Path, command: str) -> None:
    (here / "agent.toml").write_text('[agent]\nnme = 1\n[data]\nsource = "samples.csv"\n')
    assert_fails_in_one_line(p2pnet(command), 78, "agent.toml: agent.nme: no such setting; did you mean agent.name?")


@pytest.mark.parametrize("command", ["check", "run"])
def test_wrong_settings_end_with_78_before_anything_starts(here: Path, command: str) -> None:
    assert_fails_in_one_line(p2pnet(command, "agent.toml"), 78, "agent.toml: no such file")
    write_agent(here)
    assert_fails_in_one_line(p2pnet(command, "agent.toml", "--rounds", "x"), 78, 'algorithm.rounds = "x"')
    assert_fails_in_one_line(p2pnet(command, "agent.toml", "--set", "log.levl=info"), 78, "did you mean log.level?")
    assert sorted(path.name for path in here.iterdir()) == ["agent.toml", "samples.csv"]


def test_check_finds_a_missing_key_and_wrong_data(here: Path) -> None:
    write_agent(here)
    assert_fails_in_one_line(p2pnet("check", "agent.toml"), 77, "agent.key")
    p2pnet("keygen")
    assert_fails_in_one_line(p2pnet("check", "agent.toml", "--set", "data.target=z"), 65, "no column 'z'")
    assert_fails_in_one_line(
        p2pnet("check", "agent.toml", "--set", "objective.loss=huber"), 78, "huber is not for classification"
    )


def test_run_hands_the_settings_to_the_agent_and_ends_with_its_exit_code(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Settings] = []

    def run_agent(settings: Settings, beginning: Beginning, read_again: Callable[[], Settings]) -> int:
        assert read_again() == settings
        ran.append(settings)
        assert beginning == Beginning()
        return 3

    monkeypatch.setitem(sys.modules, "p2pnet.agent.run", SimpleNamespace(run_agent=run_agent))
    write_agent(here)

    assert p2pnet("run", "agent.toml", "--bind", "none", "--set", "model.hidden=[4]").exit_code == 3
    assert ran == [read_settings(Path("agent.toml"), ["network.bind=none", "model.hidden=[4]"], {})]


@pytest.fixture
def demos(monkeypatch: pytest.MonkeyPatch) -> list[DemoOptions]:
    """The options of the demos that would have been run."""
    asked: list[DemoOptions] = []
    monkeypatch.setitem(
        sys.modules, "p2pnet.experiments.demo.run", SimpleNamespace(run_demo=lambda options: asked.append(options))
    )
    return asked


def test_the_demo_without_options_has_the_defaults_of_its_options(demos: list[DemoOptions]) -> None:
    assert p2pnet("demo").exit_code == 0
    assert demos == [DemoOptions()]


def test_each_option_of_the_demo_arrives(demos: list[DemoOptions]) -> None:
    line = (
        "demo --agents 3 --topology full --data x.csv --target y --task regression --partition sorted --hidden 8,4 "
        "--penalty l1:0.1 --rounds 7 --pace 0.5 --seed 1 --report out --json"
    )
    assert p2pnet(*line.split()).exit_code == 0
    assert demos == [
        DemoOptions(
            agents=3,
            topology="full",
            data="x.csv",
            target="y",
            task="regression",
            partition="sorted",
            hidden=(8, 4),
            penalty="l1:0.1",
            rounds=7,
            pace_s=0.5,
            seed=1,
            report=Path("out"),
            is_json=True,
        )
    ]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--agents", "1"], "--agents 1: must be at least 2"),
        (["--topology", "matching"], "--topology matching: must be one of ring"),
        (["--topology", "moebius"], "--topology moebius: must be one of ring"),
        (["--topology", "random:2"], "--topology random:2: P must be above 0"),
        (["--data", "mnist"], "--data mnist: must be one of digits"),
        (["--target", "y"], "--target y: is for files"),
        (["--task", "regression"], "--task regression: is for files"),
        (["--hidden", "many"], "--hidden many: must be widths"),
        (["--hidden", "8,0"], "must be widths of at least 1"),
        (["--penalty", "l2"], "--penalty l2: must be written as l2:STRENGTH"),
        (["--rounds", "0"], "--rounds 0: must be at least 1"),
        (["--pace", "-1"], "--pace -1.0: must be 0 or more seconds"),
        (["--seed", "-1"], "--seed -1: must be 0 or more"),
    ],
)
def test_a_wrong_option_of_the_demo_is_one_line_that_names_it(arguments: list[str], what: str) -> None:
    assert_fails_in_one_line(p2pnet("demo", *arguments), 78, what)


@pytest.mark.parametrize(
    "options",
    [
        {"topology": "random:0.3"},
        {"data": "some/file.CSV", "target": "price", "task": "regression"},
        {"hidden": ()},
        {"penalty": "none"},
    ],
)
def test_right_options_of_the_demo_are_taken(options: dict[str, Any]) -> None:
    DemoOptions(**options)


def test_hidden_layers_are_read_from_text() -> None:
    assert parse_hidden("32") == (32,)
    assert parse_hidden("64,32") == (64, 32)
    assert parse_hidden("none") == ()
    with pytest.raises(ConfigError):
        parse_hidden("")


def test_what_is_imported_for_a_command_is_never_collected() -> None:
    was_frozen = gc.get_freeze_count()
    try:
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > was_frozen
    finally:
        gc.unfreeze()


def test_a_network_that_begins_with_the_settings_of_an_agent_does_not_begin_with_its_seeds(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(
        '[agent]\nname = "ann"\n[network]\nseeds = [{ address = "tcp://192.0.2.8:7070", '
        f"public_key = '{generate_keys().public}' }}]\n[data]\nsource = \"samples.csv\"\n"
    )
    (tmp_path / "samples.csv").write_text("x,y\n1,2\n2,4\n")
    arguments = ["--settings", str(tmp_path / "old.toml"), "--agent-toml", str(tmp_path / "agent.toml")]
    assert p2pnet("init", "--network", "ward", *arguments).exit_code == 0
    settings = read_settings(tmp_path / "agent.toml")
    assert settings.agent.name == "ann"
    assert settings.network.seeds == ()
