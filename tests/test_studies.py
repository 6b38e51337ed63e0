"""The studies of the method run, in their small forms."""

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from p2pnet.experiments.simulate.options import SimulateOptions
from studies.laboratory import Archive, Laboratory
from studies.plan import SEEDS, TUNING_SEED, Plan, make_plan
from studies.runs import Central, Point, Run, central, run
from studies.trials import Spread, Trials

ROOT = Path(__file__).parent.parent
QUICK = make_plan(Path("nowhere"), is_quick=True)
SMALL = SimulateOptions(agents=2, data="iris", hidden=(2,), rounds=2, is_compared=False)


@pytest.fixture(scope="module")
def ran() -> Run:
    return run(SMALL)


def with_objectives(ran: Run, *objectives: float) -> Run:
    """The run, had these been its objectives, round by round."""
    curve = tuple(Point(round_, objective, 0.5) for round_, objective in enumerate(objectives))
    return replace(ran, curve=curve, summary=replace(ran.summary, objective_worst=objectives[-1]))


def test_experiments_write_a_page_of_tables_and_figures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "studies.experiments", "--quick", "--output", str(tmp_path), "--workers", "1"]
    sections = ["partitions", "stopping", "loss", "objectives", "graphs"]
    subprocess.run([*command, *sections], check=True, cwd=ROOT, timeout=300)
    page = (tmp_path / "experiments.md").read_text()
    for heading in (
        "## 3. Samples dealt",
        "## 4. Training that stops by itself",
        "## 5. Lost messages",
        "## 6. Losses and penalties",
        "## 8. Graphs",
    ):
        assert heading in page
    assert page.count("|---|") == 7
    assert page.count("**What it shows.**") == len(sections)
    for name in ("partitions", "graphs"):
        assert f"(figures/{name}.png)" in page
        assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 2_000


def test_a_cell_has_the_median_of_the_seeds_and_the_worst(ran: Run) -> None:
    runs = [with_objectives(ran, 4.0, end) for end in (2.2, 1.9, 3.0)]
    trials = Trials(tuple(runs), tuple(Central(2.0, 0.5) for _ in runs))
    assert (trials.excess.median, trials.excess.worst) == pytest.approx((0.1, 0.5))
    assert trials.n_within(0.2) == 2
    assert trials.exchanges_to(0.2) == Spread(1, math.inf)


def test_exchanges_are_counted_until_the_objective_stays_below(ran: Run) -> None:
    assert with_objectives(ran, 5.0, 1.0, 3.0, 1.0, 1.0).exchanges_to(2.0) == 3
    assert with_objectives(ran, 5.0, 1.0, 3.0).exchanges_to(2.0) == math.inf
    assert with_objectives(ran, 5.0, 1.0, math.nan).exchanges_to(2.0) == math.inf


def test_step_sizes_are_chosen_from_a_seed_that_judges_nothing() -> None:
    assert TUNING_SEED not in SEEDS
    with ThreadPoolExecutor(1) as pool:
        lab = Laboratory(QUICK, pool, Archive(None))
        [chosen] = lab.tuned([replace(SMALL, algorithm="dgd")])
        [trials] = lab.trials_of([chosen])
    assert replace(chosen, step_size=SMALL.step_size) == replace(SMALL, algorithm="dgd")
    assert [each.options.seed for each in trials.runs] == list(QUICK.seeds)
    assert {each.options.step_size for each in trials.runs} == {chosen.step_size}


def test_large_networks_have_fewer_seeds() -> None:
    plan = Plan((), ("iris",), SEEDS, 400, is_quick=False)
    assert plan.seeds_of(SMALL) == SEEDS
    for large in (replace(SMALL, agents=16), replace(SMALL, hidden=(64,)), replace(SMALL, rounds=1000)):
        assert plan.seeds_of(large) == SEEDS[:3]
    assert plan.seeds_of(replace(SMALL, agents=64)) == SEEDS[:1]


def test_what_is_kept_is_found_by_its_options_alone(tmp_path: Path, ran: Run) -> None:
    archive = Archive(tmp_path)
    assert archive.get(run, SMALL) is None
    archive.put(run, SMALL, ran)
    kept = archive.get(run, SMALL)
    assert kept is not None
    assert (kept.options, kept.curve) == (ran.options, ran.curve)
    assert archive.get(run, replace(SMALL, seed=1)) is None
    assert archive.get(central, SMALL) is None


def test_the_matrix_prints_a_line_a_run() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "studies.matrix", "--quick", "--workers", "1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=300,
    )
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["data", "partition", "topology"]
    assert [line.split()[0] for line in lines[1:-1]] == ["iris", "iris", "diabetes"]
    assert lines[-1].startswith("0 of 3 did not come to rest")
