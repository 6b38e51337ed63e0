"""`p2pnet.Agent`: agents in processes of their own, run from Python."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import p2pnet
from p2pnet.errors import ConfigError, TrainingError
from p2pnet.testing.ports import free_ports


def settings(name: str, bind: str, neighbors: list[dict[str, str]], directory: Path) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(len(name))
    X = rng.standard_normal((40, 2)) * [10.0, 0.1] + [100.0, 5.0]
    source = directory / f"{name}.npz"
    np.savez(source, X=X, y=X @ [2.0, 30.0], feature_names=np.array(["a", "b"]), target_name="price")
    return {
        "agent": {"name": name},
        "network": {"bind": bind, "neighbors": neighbors},
        "data": {"source": source},
        "model": {"hidden": ()},
        "objective": {"penalty": "none"},
        "algorithm": {"rounds": 60},
    }


def test_two_agents_train_one_model_that_says_where_it_comes_from(tmp_path: Path) -> None:
    ports = free_ports(2)
    binds = [f"tcp://127.0.0.1:{port}" for port in ports]
    # The keys come first: each is made with the first settings, and kept.
    keys = [
        p2pnet.Agent(settings(name, bind, [], tmp_path), tmp_path / name).public_key
        for name, bind in zip(("ann", "bob"), binds, strict=True)
    ]
    agents = []
    for mine, theirs, name in ((0, 1, "ann"), (1, 0, "bob")):
        other = {"name": "other", "address": binds[theirs], "public_key": keys[theirs]}
        agents.append(p2pnet.Agent(settings(name, binds[mine], [other], tmp_path), tmp_path / name))
    assert [agent.public_key for agent in agents] == keys
    rounds: list[int] = []
    ann, bob = agents
    with ann, bob:
        model = ann.wait(120.0, progress=lambda record: rounds.append(record.round))
        other_model = bob.wait(60.0)
    assert not ann.is_running
    assert rounds == list(range(rounds[-1] + 1))
    assert rounds == [record.round for record in ann.history]
    np.testing.assert_allclose(model.predict([{"b": 5.0, "a": 100.0}]), 350.0, rtol=1e-3)
    np.testing.assert_allclose(other_model.file.params, model.file.params, atol=1e-3)
    provenance = model.file.provenance
    assert (provenance.agent, provenance.p2pnet_version) == ("ann", p2pnet.__version__)
    assert provenance.rounds == rounds[-1]
    assert provenance.objective == pytest.approx(ann.history[-1].objective_local)
    assert provenance.fingerprint["loss"] == "half-squared"
    assert provenance.fingerprint == other_model.file.provenance.fingerprint
    assert list(model.file.metrics) == ["R²", "RMSE", "MAE"]
    assert model.file.metrics["R²"] == ann.history[-1].test_metric
    assert provenance.saved_at.endswith("+00:00")


def test_an_agent_that_fails_says_why(tmp_path: Path) -> None:
    wrong = settings("ann", "tcp://127.0.0.1:0", [], tmp_path)
    wrong["data"]["source"] = tmp_path / "missing.csv"
    with pytest.raises(TrainingError, match=r"exit code 65.*missing\.csv: no such file"):
        p2pnet.Agent(wrong, tmp_path / "ann").run(60.0, progress=False)


def test_an_agent_that_waits_in_vain_can_be_given_up(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    agent = p2pnet.Agent(settings("ann", f"tcp://127.0.0.1:{port}", [], tmp_path), tmp_path / "ann")
    with pytest.raises(TrainingError, match="has not been started"):
        agent.wait()
    with agent:
        with pytest.raises(TrainingError, match="runs already"):
            agent.start()
        with pytest.raises(TrainingError, match="still at work after 0"):
            agent.wait(0.0)
    assert not agent.is_running


def test_wrong_settings_are_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.source"):
        p2pnet.Agent({}, tmp_path / "ann")
    with pytest.raises(ConfigError, match=r"network\.bnd"):
        p2pnet.Agent({"data": {"source": "x.csv"}, "network": {"bnd": "none"}}, tmp_path / "ann")
    with pytest.raises(ConfigError, match="no such file"):
        p2pnet.Agent(tmp_path / "agent.toml")
