"""Three hospitals as processes, from raw tables to predictions, with the settings that `check --suggest` writes."""

import csv
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import p2pnet
from p2pnet.cli.group import main
from p2pnet.data.frame_files import read_frame
from p2pnet.testing import Fleet, LocalAgent, free_ports
from p2pnet.training.evaluation import evaluate
from p2pnet.training.model_file import ModelFile
from tests.patients import SITES, write_patients

PATIENCE_S = 150.0


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as at_exit:
        addresses = [f"tcp://127.0.0.1:{port}" for port in free_ports(len(SITES))]
        agents = [LocalAgent.create(tmp_path / site, address) for site, address in zip(SITES, addresses, strict=True)]
        yield at_exit.enter_context(Fleet(agents))


def suggested(directory: Path) -> dict[str, Any]:
    """The settings that `p2pnet check --suggest` writes for the table of a directory, by section.key."""
    table, out = directory / "table.csv", directory / "data.toml"
    options = ["check", "--data", str(table), "--target", "outcome", "--suggest", "--out", str(out)]
    assert CliRunner().invoke(main, options).exit_code == 0
    return {f"data.{name}": value for name, value in tomllib.loads(out.read_text(encoding="utf-8"))["data"].items()}


def configure(sites: Fleet, discovery: str) -> None:
    """Write tables and settings."""
    first, *_ = sites.agents
    for agent, (site, form) in zip(sites.agents, SITES.items(), strict=True):
        write_patients(agent.directory / "table.csv", site, **form)
        others = [other for other in sites.agents if other is not agent]
        network: dict[str, Any] = {"network.discovery": "mdns"}
        if discovery == "seeds":
            network = {"network.seeds": [] if agent is first else [first.as_seed()]}
        agent.configure(
            {
                "security.allowed_peers": [other.as_neighbor()["public_key"] for other in others],
                "model.hidden": (),
                **network,
                **suggested(agent.directory),
            }
        )


@pytest.mark.parametrize("discovery", ["seeds", "mdns"])
def test_three_hospitals_train_and_predict_without_a_script(sites: Fleet, discovery: str) -> None:
    configure(sites, discovery)
    sites.run(PATIENCE_S)

    models = [p2pnet.load(agent.directory / "model.npz") for agent in sites.agents]
    for agent, model in zip(sites.agents, models, strict=True):
        assert "3 labels (died, moved, well), 5 levels of categories" in agent.log
        assert model.classes == ("died", "moved", "well")
        assert model.columns == ("admitted", "age", "crp", "sex", "ward")
        np.testing.assert_allclose(
            model.description.scaling.feature_mean, models[0].description.scaling.feature_mean, rtol=1e-9
        )
        rows = read_frame(agent.directory / "table.csv", model.description.text_columns)
        assert evaluate(model, rows, ignore=("patient_id",)).metrics["accuracy"].value > 0.75
        done = CliRunner().invoke(
            main,
            ["predict", str(agent.directory / "model.npz"), str(agent.directory / "table.csv"), "--ignore=patient_id"],
        )
        assert done.exit_code == 0
        assert len(done.stdout.splitlines()) == rows.n_rows + 1


def test_hospitals_that_are_started_again_go_on_with_the_levels_that_were_found(sites: Fleet) -> None:
    configure(sites, "seeds")
    sites.run(PATIENCE_S)
    n_rounds = max(agent.files.result().rounds for agent in sites.agents) + 80
    # Ended before the last one has started, the others would leave it alone.
    sites.start(None, f"algorithm.rounds={n_rounds}", "algorithm.tolerance=0.0", "network.round_pace_s=0.05")
    sites.until_all_end(PATIENCE_S)
    for agent in sites.agents:
        assert agent.has_said("goes on from the checkpoint of round")
        assert "of another training" not in agent.log
        assert agent.files.result().rounds == n_rounds
        assert len(p2pnet.load(agent.directory / "model.npz").description.feature_names) > 5


PARTS = ("train", "train", "train", "validation", "test")
"""The part of each row in turn."""


def with_parts(path: Path, form: dict[str, Any]) -> list[dict[str, str]]:
    """Add to the table a column that says the part of each row; the rows."""
    encoding = form.get("encoding", "utf-8")
    dialect = {name: form[name] for name in ("delimiter", "lineterminator") if name in form}
    with path.open(encoding=encoding, newline="") as file:
        rows = [row | {"part": PARTS[k % 5]} for k, row in enumerate(csv.DictReader(file, **dialect))]
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), **dialect)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def test_the_metrics_of_the_network_are_those_of_all_held_out_rows_in_one_place(sites: Fleet, tmp_path: Path) -> None:
    pooled: dict[str, list[dict[str, str]]] = {"validation": [], "test": []}
    for agent, (site, form) in zip(sites.agents, SITES.items(), strict=True):
        write_patients(agent.directory / "table.csv", site, **form)
        rows = with_parts(agent.directory / "table.csv", form)
        for part, found in pooled.items():
            found += [row for row in rows if row["part"] == part]
        agent.configure(
            {
                "network.neighbors": [other.as_neighbor() for other in sites.agents if other is not agent],
                "model.hidden": (4,),
                "data.split": {"column": "part"},
                "algorithm.compare_alone_s": 5.0,
                **suggested(agent.directory),
                "data.categorical": ["sex", "ward"],
            }
        )
    sites.run(PATIENCE_S)

    files = [ModelFile.load(agent.directory / "model.npz") for agent in sites.agents]
    for file in files:
        np.testing.assert_allclose(file.params, files[0].params, rtol=0, atol=1e-10)
    for part, rows in pooled.items():
        path = tmp_path / f"{part}.csv"
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, sorted(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        for agent, file in zip(sites.agents, files, strict=True):
            model = p2pnet.load(agent.directory / "model.npz")
            evaluation = evaluate(model, read_frame(path, model.description.text_columns), ("patient_id", "part"))
            metrics = file.network_metrics[part]
            for name in ("accuracy", "balanced accuracy", "macro F1", "log loss"):
                assert metrics[name] == pytest.approx(evaluation.metrics[name].value, abs=1e-9)
            for each in evaluation.per_class:
                recall = metrics.get(f"recall of {each.label}", np.nan)  # of a label that none of these rows has
                assert recall == pytest.approx(each.recall.value, abs=1e-9, nan_ok=True)
            assert f"on the rows of all agents for {part}: accuracy" in agent.log
    for agent, file in zip(sites.agents, files, strict=True):
        assert "this agent has on the same test samples accuracy" in agent.log
        assert file.alone_metrics.keys() == file.metrics.keys()


def test_one_with_a_column_less_is_refused_with_its_name(sites: Fleet) -> None:
    for agent, (site, form) in zip(sites.agents[:2], SITES.items(), strict=False):
        write_patients(agent.directory / "table.csv", site, **form)
        others = [{**other.as_neighbor(), "name": None} for other in sites.agents[:2] if other is not agent]
        settings = suggested(agent.directory) | {"network.neighbors": others}
        if site == "b":
            settings["data.ignore"] = ["patient_id", "crp"]
        agent.configure(settings)
    sites.start([0, 1])
    for agent, words in zip(sites.agents, ("theirs lack 'crp'", "ours lack 'crp'"), strict=False):
        agent.until(lambda agent, words=words: agent.has_said(f"columns: {words}"))  # type: ignore[misc]
