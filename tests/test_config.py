import re
import tomllib
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.catalogue.penalties import PENALTIES
from p2pnet.catalogue.registry import Term
from p2pnet.catalogue.step_rules import STEP_RULES
from p2pnet.config import (
    AgentSettings,
    DataSettings,
    ModelSettings,
    NeighborSettings,
    NetworkSettings,
    Settings,
    read_settings,
    write_config,
)
from p2pnet.config.writing import example_config, toml_value
from p2pnet.errors import ConfigError

ROOT = Path(__file__).parent.parent
KEY = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
DATA = '[data]\nsource = "samples.csv"\n'


def read(directory: Path, text: str, *flags: str, **environment: str) -> Settings:
    path = directory / "agent.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path, flags, environment)


def complaint(directory: Path, text: str, *flags: str, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(directory, text, *flags, **environment)
    assert caught.value.exit_code == 78
    message = str(caught.value).removeprefix(f"{directory}/")
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    ("precision", "tolerance", "bits"),
    [
        *(("auto", 4e-3, 32), ("auto", 1e-5, 32), ("auto", 1e-6, 64), ("auto", 0.0, 64)),
        *(("float64", 4e-3, 64), ("float32", 0.0, 32), ("coded", 4e-3, 32), ("coded", 1e-6, 64)),
    ],
)
def test_numbers_on_the_wire_are_short_where_the_tolerance_allows_it(
    precision: Literal["auto", "float64", "float32", "coded"], tolerance: float, bits: int
) -> None:
    assert NetworkSettings(precision=precision).wire_bits(tolerance) == bits


def test_a_flag_overrules_the_environment_which_overrules_the_file_which_overrules_the_default(tmp_path: Path) -> None:
    file = DATA + "[algorithm]\nrounds = 2\n"
    in_environment = {"P2PNET_ALGORITHM__ROUNDS": "3"}

    assert read(tmp_path, DATA).algorithm.rounds == 1000
    assert read(tmp_path, file).algorithm.rounds == 2
    assert read(tmp_path, file, **in_environment).algorithm.rounds == 3
    assert read(tmp_path, file, "algorithm.rounds=4", **in_environment).algorithm.rounds == 4


def test_flags_and_variables_hold_lists_and_tables_as_toml(tmp_path: Path) -> None:
    neighbors = f'[{{ address = "tcp://a:1", public_key = "{KEY}" }}]'
    settings = read(tmp_path, DATA, "model.hidden=[8, 4]", P2PNET_NETWORK__NEIGHBORS=neighbors)

    assert settings.model.hidden == (8, 4)
    assert settings.network.neighbors == (NeighborSettings(address="tcp://a:1", public_key=KEY),)


def test_relative_paths_are_taken_from_the_directory_of_the_file(tmp_path: Path) -> None:
    settings = read(tmp_path, '[data]\nsource = "a.csv"\n', "data.test_source=/elsewhere/b.csv")

    assert settings.data.source == tmp_path / "a.csv"
    assert settings.data.test_source == Path("/elsewhere/b.csv")
    assert settings.security.secret_key == tmp_path / "agent.key"
    assert settings.agent.state_dir == tmp_path / "state"
    assert settings.log.file is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'agent.toml: data.source is missing; add source = "samples.csv"'),
        ("data = 3", "agent.toml: data = 3: must be a table of settings"),
        (DATA + "[algoritm]", "agent.toml: algoritm: no such section; did you mean algorithm?"),
        (
            DATA + "[network]\nround_timout_s = 3",
            "agent.toml: network.round_timout_s: no such setting; did you mean network.round_timeout_s?",
        ),
        (
            DATA + "[objective]\nclass_weights = 'equal'",
            'agent.toml: objective.class_weights = "equal": must be balanced, or a table of weights by label, '
            "as in { ill = 5 }",
        ),
        (
            DATA + "[objective]\nclass_weights = { ill = 0 }",
            "agent.toml: objective.class_weights.ill = 0: must be above 0.0",
        ),
        (DATA + "[log]\nxyz = 3", "agent.toml: log.xyz: no such setting; [log] has level, file, format"),
        (DATA + "[algorithm]\nrounds = 'many'", 'agent.toml: algorithm.rounds = "many": must be a whole number'),
        (DATA + "[algorithm]\nrounds = 0", "agent.toml: algorithm.rounds = 0: must be above 0"),
        (DATA + "[network]\nround_pace_s = nan", "agent.toml: network.round_pace_s = nan: must be a finite number"),
        (DATA + "[agent]\nname = 5", "agent.toml: agent.name = 5: must be text in quotes"),
        (DATA + "[agent]\nname = 'a\\nb'", None),
        (DATA + "[model]\nhidden = 32", "agent.toml: model.hidden = 32: must be a list in square brackets"),
        (DATA + "[model]\nhidden = [8, 0]", "agent.toml: model.hidden[1] = 0: must be above 0"),
        (
            DATA + "[algorithm]\nsurrogate = 'half'",
            'agent.toml: algorithm.surrogate = "half": must be one of partial, full',
        ),
        (
            DATA + "[objective]\nloss = 'hubert'",
            'agent.toml: objective.loss = "hubert": must be one of auto, half-squared, huber, log-cosh, '
            "poisson-deviance, softmax-cross-entropy, logistic, squared-hinge; did you mean huber?",
        ),
        (
            DATA + "[objective]\npenalty = 'l2:-1'",
            'agent.toml: objective.penalty = "l2:-1": STRENGTH must be at least 0',
        ),
        (
            DATA + "[objective]\npenalty = 'l2'",
            'agent.toml: objective.penalty = "l2": must be written as l2:STRENGTH, with numbers',
        ),
        (
            DATA + "[network]\nbind = 'localhost'",
            'agent.toml: network.bind = "localhost": must be an address such as "tcp://192.0.2.7:7070"',
        ),
        (
            DATA + "[network]\nadvertise = 'tcp://0.0.0.0:7070'",
            'agent.toml: network.advertise = "tcp://0.0.0.0:7070": must be an address that others can dial, '
            'such as "tcp://192.0.2.7:7070"',
        ),
        (
            DATA + "[security]\nallowed_peers = ['secret']",
            'agent.toml: security.allowed_peers[0] = "secret": must be a public key of 40 characters (Z85), '
            "as `p2pnet keygen` prints it",
        ),
        (
            DATA + "[[network.neighbors]]\nadress = 'tcp://a:1'",
            "agent.toml: network.neighbors[0].adress: no such setting; did you mean network.neighbors[0].address?",
        ),
        (
            DATA + "[[network.neighbors]]\naddress = 'tcp://a:1'",
            f'agent.toml: network.neighbors[0].public_key is missing; add public_key = "{KEY}"',
        ),
        (
            f'{DATA}delimiter = "ab"',
            'agent.toml: data.delimiter = "ab": must be auto, or one sign that stands in no number and is no letter '
            "and no quote",
        ),
        (
            f'{DATA}missing = "mean"\nstandardize = "none"',
            'agent.toml: data: missing = "mean" needs means: standardize = "network", or "local"',
        ),
        (
            "[data]\nsource = 'a.txt'",
            'agent.toml: data.source = "a.txt": must end in .csv, .tsv, .npz or .parquet, or be a directory',
        ),
        (DATA + "classes = ['a', 'a']", "agent.toml: data.classes: must name each label once"),
    ],
)
def test_a_wrong_file_is_one_line_with_file_key_what_was_wrong_and_what_would_be_right(
    tmp_path: Path, text: str, message: str | None
) -> None:
    if message is None:
        read(tmp_path, text)
    else:
        assert complaint(tmp_path, text) == message


def test_a_wrong_flag_or_variable_is_named_instead_of_the_file(tmp_path: Path) -> None:
    assert complaint(tmp_path, DATA, "algorithm.rounds=x") == (
        'command line: algorithm.rounds = "x": must be a whole number'
    )
    assert complaint(tmp_path, DATA, "algorithm.round=5") == (
        "command line: algorithm.round: no such setting; did you mean algorithm.rounds?"
    )
    assert complaint(tmp_path, DATA, "rounds") == "--set rounds: must be written as in --set algorithm.rounds=200"
    assert complaint(tmp_path, DATA, "model.hidden=[3").startswith("command line: [3 is not a TOML list or table")
    assert complaint(tmp_path, DATA, P2PNET_LOG__LEVEL="loud").startswith(
        'environment variable P2PNET_LOG__LEVEL: log.level = "loud": must be one of'
    )
    assert complaint(tmp_path, DATA, P2PNET_LOG_LEVEL="info") == (
        "environment variable P2PNET_LOG_LEVEL: must be named P2PNET_LOG__LEVEL, with two underscores, or be unset"
    )


def test_all_wrong_settings_are_named_at_once_and_misspelt_ones_first(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('[data]\nsorce = "samples.csv"\ntask = "regresion"\n[model]\nhidden = ["x", "y"]\n')
    with pytest.raises(ConfigError) as caught:
        read_settings(path, ["algorithm.rounds=0"], {})
    assert caught.value.headline == f"{path}: 5 settings are wrong"
    places = [problem.split(" ")[0:2] for problem in caught.value.problems]
    assert places[0] == [f"{path}:", "data.sorce:"]
    assert sorted(places[1:]) == sorted(
        [
            [f"{path}:", "data.source"],
            [f"{path}:", "data.task"],
            [f"{path}:", "model.hidden[0]"],
            ["command", "line:"],
        ]
    )


def test_what_kubernetes_sets_beside_a_service_named_p2pnet_is_passed_over(tmp_path: Path) -> None:
    beside_a_service = {
        "P2PNET_SERVICE_HOST": "10.0.3.7",
        "P2PNET_SERVICE_PORT_AGENTS": "7070",
        "P2PNET_PORT": "tcp://10.0.3.7:7070",
        "P2PNET_PORT_7070_TCP_ADDR": "10.0.3.7",
        "P2PNET_NETWORK_PORT": "tcp://10.0.3.8:7070",
    }
    assert read(tmp_path, DATA, **beside_a_service) == read(tmp_path, DATA)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff" + DATA) == read(tmp_path, DATA)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    for path, what in [
        (tmp_path / "none.toml", "no such file"),
        (tmp_path, "cannot be read"),
        (tmp_path / "latin.toml", "is not UTF-8 text"),
    ]:
        with pytest.raises(ConfigError, match=what):
            read_settings(path, (), {})
    assert complaint(tmp_path, "rounds =").startswith("agent.toml: is not TOML: ")


@pytest.mark.parametrize("key", [KEY[:-1], KEY + "0", KEY[:-1] + " ", "#####" + KEY[5:]])
def test_a_key_that_does_not_stand_for_32_bytes_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="must be a public key"):
        NeighborSettings(public_key=key)


def test_an_agent_that_only_dials_out_needs_the_addresses_of_its_neighbors() -> None:
    with pytest.raises(ValueError, match="every neighbor needs an address"):
        NetworkSettings(bind="none", neighbors=(NeighborSettings(public_key=KEY),))


def test_no_neighbor_is_named_twice() -> None:
    with pytest.raises(ValueError, match="different public keys"):
        NetworkSettings(neighbors=(NeighborSettings(public_key=KEY), NeighborSettings(public_key=KEY)))


def test_others_dial_what_is_advertised_else_what_is_bound_with_the_host_name_for_a_wildcard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")

    assert NetworkSettings(bind="tcp://0.0.0.0:7", advertise="tcp://there:8").advertised_address == "tcp://there:8"
    assert NetworkSettings(bind="tcp://127.0.0.1:7").advertised_address == "tcp://127.0.0.1:7"
    assert NetworkSettings(bind="tcp://[::]:7").advertised_address == "tcp://here:7"
    assert NetworkSettings(bind="none").advertised_address is None


def test_the_loss_follows_the_task_and_must_fit_it(tmp_path: Path) -> None:
    objective = read(tmp_path, DATA).objective
    assert objective.loss_for("regression") == "half-squared"
    assert objective.loss_for("classification") == "softmax-cross-entropy"

    huber = read(tmp_path, DATA, "objective.loss=huber").objective
    assert huber.loss_for("regression") == "huber"
    with pytest.raises(ConfigError, match="huber is not for classification"):
        huber.loss_for("classification")


def test_penalties_and_step_rules_are_read_from_their_terms() -> None:
    assert PENALTIES.parse("none") == Term("none")
    assert PENALTIES.parse("l2:1e-3") == Term("l2", (1e-3,))
    assert PENALTIES.parse("elastic-net:0.1:0.7") == Term("elastic-net", (0.1, 0.7))
    assert PENALTIES.parse("box:-2:3") == Term("box", (-2.0, 3.0))
    assert STEP_RULES.parse("secant") == Term("secant")
    assert STEP_RULES.parse("constant:2") == Term("constant", (2.0,))


@pytest.mark.parametrize(
    "text", ["", "l3:1", "l2:", "l2:-1", "l2:nan", "l2:1:2", "none:1", "elastic-net:1:2", "box:1:1", "box:0:inf"]
)
def test_a_penalty_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        PENALTIES.parse(text)


@pytest.mark.parametrize("text", ["", "constant", "constant:0", "constant:nan", "newton:1"])
def test_a_step_rule_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        STEP_RULES.parse(text)


def test_written_settings_are_read_back_the_same(tmp_path: Path) -> None:
    written = Settings(
        agent=AgentSettings(name='a "quoted" näme \\ \x7f'),
        network=NetworkSettings(
            neighbors=(NeighborSettings(address="tcp://b:1", public_key=KEY, name="b"),), round_pace_s=1e-7
        ),
        data=DataSettings(source=tmp_path / "shard.npz", test_source=Path("/data/test.npz"), classes=("0", "1")),
        model=ModelSettings(hidden=()),
    ).relative_to(tmp_path)
    write_config(written, tmp_path / "agent.toml")

    assert read_settings(tmp_path / "agent.toml", (), {}) == written
    text = (tmp_path / "agent.toml").read_text(encoding="utf-8")
    assert 'source = "shard.npz"' in text
    assert "[algorithm]" not in text


values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values)
def test_any_value_written_as_toml_is_read_back_the_same(value: object) -> None:
    assert tomllib.loads(f"value = {toml_value(value)}") == {"value": value}


def test_the_example_is_what_the_settings_say() -> None:
    shown = (ROOT / "agent.toml.example").read_text(encoding="utf-8")
    assert shown == example_config(), "agent.toml.example is stale: run scripts/generate"


def test_every_line_of_the_example_is_a_setting_that_can_be_used(tmp_path: Path) -> None:
    every_setting = re.sub(r"^#(?! )", "", example_config(), flags=re.MULTILINE)
    settings = read(tmp_path, every_setting.replace("#    {", "{"))

    given_keys = tomllib.loads(every_setting)
    for name, section in settings:
        assert set(given_keys[name]) == set(type(section).model_fields)


def test_what_the_example_shows_is_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, example_config()) == read(tmp_path, DATA)
