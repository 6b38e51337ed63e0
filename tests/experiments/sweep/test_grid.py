"""Which simulations a sweep consists of."""

from pathlib import Path

import pytest

from p2pnet.errors import ConfigError
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.sweep.grid import Cell, Varied, make_grid, parse_seeds, parse_variation


def options_of(settings: Varied) -> SimulateOptions:
    return SimulateOptions(topology=settings.get("topology", "ring"), loss_rate=float(settings.get("loss-rate", 0)))


def test_every_combination_is_run_with_every_seed() -> None:
    variations = [parse_variation("topology ring full"), parse_variation("--loss-rate 0 0.1 0.3")]
    cells = make_grid(variations, range(4), options_of)

    assert len(cells) == 2 * 3 * 4
    assert [dict(cell.settings) for cell in cells[:5:4]] == [
        {"topology": "ring", "loss-rate": "0"},
        {"topology": "ring", "loss-rate": "0.1"},
    ]
    assert [cell.seed for cell in cells[:4]] == [0, 1, 2, 3]
    assert {cell.options.loss_rate for cell in cells} == {0.0, 0.1, 0.3}


def test_without_variations_there_is_one_simulation_a_seed() -> None:
    assert [cell.options.seed for cell in make_grid([], range(2), options_of)] == [0, 1]


def test_values_may_hold_commas_and_quoted_blanks() -> None:
    assert parse_variation("hidden 64,32 16").values == ("64,32", "16")
    assert parse_variation("data 'a table.csv' digits").values == ("a table.csv", "digits")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("topology", "needs values"), ("topology ring ring", "twice"), ("topology 'ring", "must be an option")],
)
def test_a_variation_that_says_nothing_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_variation(text)


def test_one_option_is_varied_once() -> None:
    with pytest.raises(ConfigError, match="is given twice"):
        make_grid([parse_variation("topology ring"), parse_variation("topology full")], range(1), options_of)


def test_seeds_are_a_number_or_a_range() -> None:
    assert list(parse_seeds("3")) == [0, 1, 2]
    assert list(parse_seeds("10:12")) == [10, 11]


@pytest.mark.parametrize("text", ["", "0", "x", "5:5", "5:3", "-1", "1:2:3"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--seeds"):
        parse_seeds(text)


def test_a_key_depends_on_all_that_decides_the_outcome(tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("a,y\n1,2\n")
    cell = Cell({}, SimulateOptions(data=str(file)))
    before = cell.key("1.0")

    assert Cell({}, SimulateOptions(data=str(file))).key("1.0") == before
    assert cell.key("1.1") != before
    assert Cell({}, SimulateOptions(data=str(file), seed=1)).key("1.0") != before
    file.write_text("a,y\n1,3\n")
    assert cell.key("1.0") != before
