"""A sweep runs what is missing, and compares all."""

import csv
import shutil
import socket
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from click.testing import CliRunner, Result

from p2pnet.cli.group import main
from p2pnet.errors import ConfigError
from p2pnet.experiments.sweep.record import FILE

SMALL = ("--agents", "4", "--data", "synthetic:regression:80:3", "--hidden", "none", "--rounds", "8", "--jobs", "1")


def sweep(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["sweep", "--out", str(directory), *SMALL, *arguments])


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    directory = tmp_path_factory.mktemp("sweep")
    return directory, sweep(directory, "--vary", "topology ring full", "--seeds", "2")


def test_each_simulation_is_a_row_and_each_combination_another(swept: tuple[Path, Result]) -> None:
    directory, result = swept
    runs, comparison = rows(directory / "runs.csv"), rows(directory / "comparison.csv")

    assert result.exit_code == 0
    assert [(row["vary_topology"], row["seed"]) for row in runs] == [
        *(("ring", "0"), ("ring", "1")),
        *(("full", "0"), ("full", "1")),
    ]
    assert [row["vary_topology"] for row in comparison] == ["ring", "full"]
    objectives = [float(row["objective_worst"]) for row in runs[:2]]
    assert float(comparison[0]["objective_worst_worst"]) == max(objectives)
    assert float(comparison[0]["objective_worst_median"]) == pytest.approx(sum(objectives) / 2)
    assert (directory / "sweep.png").stat().st_size > 10_000
    assert result.stdout.splitlines()[0].split()[:3] == ["topology", "seeds", "objective"]


def test_the_same_command_again_runs_nothing_and_more_seeds_only_the_new(
    swept: tuple[Path, Result], tmp_path: Path
) -> None:
    first = swept[1].stdout.replace(str(swept[0]), str(tmp_path))
    directory = shutil.copytree(swept[0], tmp_path, dirs_exist_ok=True)
    kept = (directory / FILE).read_text()
    again = sweep(directory, "--vary", "topology ring full", "--seeds", "2")
    assert (directory / FILE).read_text() == kept
    assert again.stdout == first
    assert "4 of 4 simulations were run before" in again.stderr

    more = sweep(directory, "--vary", "topology ring", "--seeds", "1:3")
    assert "1 of 2 simulations were run before" in more.stderr
    assert (directory / FILE).read_text().startswith(kept)
    assert len((directory / FILE).read_text().splitlines()) == 5


def test_a_simulation_in_a_sweep_is_the_same_as_alone(swept: tuple[Path, Result], tmp_path: Path) -> None:
    alone = CliRunner().invoke(main, ["simulate", *SMALL[:-2], "--seed", "1", "--report", str(tmp_path)])
    assert alone.exit_code == 0
    row = next(row for row in rows(swept[0] / "runs.csv") if (row["vary_topology"], row["seed"]) == ("ring", "1"))
    assert f'"objective_worst": {row["objective_worst"]},' in (tmp_path / "summary.json").read_text()


def test_parquet_holds_numbers(tmp_path: Path) -> None:
    result = sweep(tmp_path, "--vary", "topology ring", "--seeds", "1", "--format", "parquet")
    assert result.exit_code == 0
    (row,) = parquet.read_table(tmp_path / "runs.parquet").to_pylist()
    assert row["vary_topology"] == "ring"
    assert row["seed"] == 0
    assert isinstance(row["objective_worst"], float)


def test_a_simulation_that_cannot_be_run_costs_no_other(tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("a,y\n" + "".join(f"{row},{row % 3}.5\n" for row in range(12)))
    result = sweep(tmp_path / "out", "--data", str(few), "--vary", "agents 4 40", "--seeds", "1")

    assert result.exit_code == 1
    assert "agents 40, seed 0:" in result.stderr
    assert [row["vary_agents"] for row in rows(tmp_path / "out" / "runs.csv")] == ["4"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--vary", "speed 1 2"), "--vary speed: is no option of simulate"),
        (("--vary", "loss-rate 0 much"), "'much' is not a valid float"),
        (("--vary", "loss-rate 0 0.99"), "--loss-rate 0.99: must be from 0 to"),
        (("--vary", "asynchronous 1"), "is a flag, whose values are yes and no"),
        (("--vary", "seed 1 2"), "--seed is for one simulation; a sweep has --seeds"),
        (("--json",), "--json is for one simulation"),
        (("--bogus",), "No such option"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    result = sweep(tmp_path / "out", *arguments)
    assert result.exit_code == ConfigError.exit_code
    assert reason in result.stderr
    assert not (tmp_path / "out").exists()


def test_flags_are_varied_by_yes_and_no(tmp_path: Path) -> None:
    result = sweep(tmp_path, "--vary", "float32 no yes", "--seeds", "1")
    assert result.exit_code == 0
    objectives = {row["vary_float32"]: float(row["objective_worst"]) for row in rows(tmp_path / "runs.csv")}
    assert objectives["no"] != objectives["yes"]
    assert objectives["no"] == pytest.approx(objectives["yes"], rel=1e-3)


def test_where_no_scheduler_listens_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed (scripts/install test,dask)")
    monkeypatch.setattr("p2pnet.experiments.sweep.run.DASK_TIMEOUT_S", 0.5)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = sweep(tmp_path, "--dask", f"tcp://127.0.0.1:{unused.getsockname()[1]}")
    assert result.exit_code == ConfigError.exit_code
    assert "no Dask scheduler answers there" in result.stderr


def test_a_dask_cluster_gives_the_same_figures(swept: tuple[Path, Result], tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed (scripts/install test,dask)")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        result = sweep(tmp_path, "--vary", "topology ring full", "--seeds", "2", "--dask", cluster.scheduler_address)
    assert result.exit_code == 0
    figures = [[row["objective_worst"] for row in rows(directory / "runs.csv")] for directory in (swept[0], tmp_path)]
    assert figures[0] == figures[1]
