"""The recipes of CONTRIBUTING.md, followed: a package outside adds one of each kind, and is trained with by name."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(?:toml|python) (?P<path>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CHOSEN = {
    "loss": "expectile",
    "penalty": "anchor:0.01:0.1",
    "activation": "softsign",
    "solver": "proximal-gradient",
    "surrogate": "sketch",
    "step_rule": "steady:0.5",
    "topology": "wheel",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as of installed packages, with the files that the recipes show, and samples of a noisy line."""
    directory = tmp_path_factory.mktemp("site")
    files = {found["path"]: found["text"] for found in BLOCK.finditer((ROOT / "CONTRIBUTING.md").read_text("utf-8"))}
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    groups: Mapping[str, Mapping[str, str]] = project["entry-points"]
    lines = [line for group, points in groups.items() for line in (f"[{group}]", *map(" = ".join, points.items()))]
    name, version = project["name"], project["version"]
    files |= {
        f"{name}/__init__.py": "",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/entry_points.txt": "\n".join(lines),
    }
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 2))
    Y = X @ [1.0, -2.0] + 0.1 * rng.standard_normal(80)
    rows = [json.dumps({"a": a, "b": b, "y": y}) for (a, b), y in zip(X.tolist(), Y.tolist(), strict=True)]
    files["samples.jsonl"] = "\n".join(rows)
    files["agent.toml"] = '[data]\nsource = "samples.jsonl"\n[model]\nhidden = [4]\n'
    for path, text in files.items():
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_text(text, encoding="utf-8")
    return directory


def python(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python run where the package is installed."""
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, check=False)


SIMULATIONS = """
import json, sys
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate

fixed = dict(agents=5, data="samples.jsonl", rounds=60, hidden=(4,), is_compared=False)
chosen = json.loads(sys.argv[1])
runs = {"": chosen} | {kind: {name: value for name, value in chosen.items() if name != kind} for kind in chosen}
for kind, options in runs.items():
    print(kind, simulate(SimulateOptions(**fixed, **options)).summary.objective_at_mean)
"""


def test_a_package_outside_trains_with_one_of_each_kind(site: Path) -> None:
    fixed = ("--data=samples.jsonl", "--agents=5", "--rounds=150", "--hidden=4", "--no-compare", "--json")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in CHOSEN.items()]
    done = python(site, "-m", "p2pnet", "simulate", *fixed, *options)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["loss"] == "expectile"
    assert summary["penalty"] == "anchor 0.01 0.1"
    assert summary["stationarity"] < 0.05 * summary["stationarity_first"]
    assert summary["test_metric_worst"] > 0.8


def test_each_of_them_makes_a_difference(site: Path) -> None:
    done = python(site, "-c", SIMULATIONS, json.dumps(CHOSEN))
    assert done.returncode == 0, done.stderr
    objectives = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert set(objectives) == {"", *CHOSEN}
    assert [kind for kind, objective in objectives.items() if kind and objective == objectives[""]] == []


FINGERPRINTS = """
import json, sys
from pathlib import Path
from p2pnet.agent.options import data_options, training_options
from p2pnet.config import read_settings
from p2pnet.data.reading import load_data
from p2pnet.training.fingerprint import early_fingerprint, fingerprint
from p2pnet.training.problem import make_problem

for flags in json.loads(sys.argv[1]):
    settings = read_settings(Path("agent.toml"), flags, {})
    train, *_ = load_data(data_options(settings.data))
    options = training_options(settings, train.task)
    problem = make_problem(options.problem, train)
    assert fingerprint(problem, options, train) == early_fingerprint(problem, options, train)
    print(json.dumps(fingerprint(problem, options, train)))
"""


def test_the_fingerprint_names_package_and_version_where_agents_must_agree_and_nowhere_else(site: Path) -> None:
    chosen = ("objective.loss=expectile", "objective.penalty=anchor:0.1:1", "model.activation=softsign")
    local = ("algorithm.solver=proximal-gradient", "algorithm.surrogate=sketch", "algorithm.step_rule=steady:1")
    unused = ("model.hidden=[]", "model.activation=softsign")
    done = python(site, "-c", FINGERPRINTS, json.dumps([[*chosen, *local], local, unused]))
    assert done.returncode == 0, done.stderr
    fields, *others = map(json.loads, done.stdout.splitlines())
    assert fields["loss"] == "expectile (toys 1.2)"
    assert fields["penalty"] == "anchor 0.1 1 (toys 1.2)"
    assert fields["model"] == "mlp 2-4-1 softsign (toys 1.2), seed 0"
    assert len(others) == 2
    assert all("toys" not in str(fields) for fields in others)


def test_help_and_refusals_name_what_other_packages_offer(site: Path) -> None:
    assert "squared-hinge|expectile]" in python(site, "-m", "p2pnet", "simulate", "--help").stdout
    refused = python(site, "-m", "p2pnet", "check", "agent.toml", "--set", "objective.loss=expectil")
    assert refused.returncode == 78
    assert "did you mean expectile?" in refused.stderr


def test_a_package_that_takes_a_name_or_cannot_be_loaded_is_named(site: Path) -> None:
    rival = site / "rival-3.dist-info"
    rival.mkdir()
    (rival / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 3\n", encoding="utf-8")
    points = "[p2pnet.losses]\nexpectile = rival:x\nbroken = rival:x\nhuber = rival:x\n"
    (rival / "entry_points.txt").write_text(points, encoding="utf-8")
    try:
        for name, said in {
            "expectile": "loss expectile: the name is taken by rival 3 and by toys 1.2",
            "huber": "loss huber: the name is taken by p2pnet itself and by rival 3",
            "broken": "loss broken of rival 3 cannot be loaded: ModuleNotFoundError: No module named 'rival'",
        }.items():
            refused = python(site, "-m", "p2pnet", "check", "agent.toml", "--set", f"objective.loss={name}")
            assert refused.returncode == 78
            assert said in refused.stderr
            assert len(refused.stderr.splitlines()) == 1
    finally:
        for file in rival.iterdir():
            file.unlink()
        rival.rmdir()
