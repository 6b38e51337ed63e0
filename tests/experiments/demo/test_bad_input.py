"""What cannot be trained on is one clear line, and nothing is started."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from p2pnet.cli.group import main

GOOD_ROWS = [f"{row},{row * row},{'even' if row % 2 == 0 else 'odd'}" for row in range(20)]


def write(path: Path, rows: list[str]) -> str:
    path.write_text("\n".join(["a,b,c", *rows]) + "\n")
    return str(path)


def assert_refused(arguments: list[str], exit_code: int, what: str) -> None:
    result = CliRunner().invoke(main, ["demo", *arguments])
    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert what in result.stderr


@pytest.mark.parametrize("bad", ["nan", "inf", "", "many"])
def test_a_value_that_is_no_finite_number_is_named_by_line_and_column(tmp_path: Path, bad: str) -> None:
    data = write(tmp_path / "x.csv", [*GOOD_ROWS[:5], f"1,{bad},odd", *GOOD_ROWS[5:]])
    assert_refused(["--data", data], 65, "(line 7)")


def test_an_absent_column(tmp_path: Path) -> None:
    data = write(tmp_path / "x.csv", GOOD_ROWS)
    assert_refused(
        ["--data", data, "--target", "z"], 65, "has no column 'z', which data.target names; its columns are a, b, c"
    )


def test_a_target_of_one_class(tmp_path: Path) -> None:
    data = write(tmp_path / "x.csv", [f"{row},1,odd" for row in range(20)])
    assert_refused(["--data", data], 65, "column 'c': has one value only")


def test_fewer_rows_than_agents(tmp_path: Path) -> None:
    data = write(tmp_path / "x.csv", GOOD_ROWS)
    assert_refused(["--data", data, "--agents", "17"], 65, "16 training rows are too few for 17 agents")


def test_an_absent_file(tmp_path: Path) -> None:
    assert_refused(["--data", str(tmp_path / "none.csv")], 65, "none.csv: no such file")


def test_an_npz_with_a_missing_value(tmp_path: Path) -> None:
    X = np.ones((20, 2))
    X[3, 1] = np.nan
    np.savez(tmp_path / "x.npz", X=X, y=np.arange(20.0))
    assert_refused(["--data", str(tmp_path / "x.npz")], 65, "x.npz, column 'x2': the value is missing in 1 row (row 3)")


def test_a_report_in_a_directory_of_somebody_elses_agents(tmp_path: Path) -> None:
    key = tmp_path / "agent-1" / "agent.key"
    key.parent.mkdir()
    key.write_text("mine")

    assert_refused(["--report", str(tmp_path)], 78, "holds agent-1, which no demo wrote; name another directory")
    assert key.read_text() == "mine"


def test_a_report_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(["--report", str(tmp_path / "file" / "report")], 78, "cannot be written: Not a directory")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--set", "network.bind=tcp://127.0.0.1:1"], "--set network.bind: the demo sets it for each agent"),
        (["--set", "algorithm.rounds=3"], "--set algorithm.rounds: say it by --rounds"),
        (["--set", "algorithm.solvr=cg"], "algorithm.solvr: no such setting; did you mean algorithm.solver?"),
        (["--set", "algorithm.blocks=0"], 'algorithm.blocks = "0": must be above 0'),
        (["--set", "model.activation"], "must be written as in --set algorithm.rounds=200"),
        (["--set", "objective.loss=huber"], "huber is not for classification"),
        (["--curvature-samples", "0"], "--curvature-samples 0: must be at least 1"),
    ],
)
def test_a_setting_that_cannot_be_is_named(arguments: list[str], what: str) -> None:
    assert_refused(arguments, 78, what)
