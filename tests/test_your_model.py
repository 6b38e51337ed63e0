"""The settings, code and commands of docs/your-model.md, as they stand there."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import p2pnet
from p2pnet.agent.transport.keys import generate_keys, write_keys
from p2pnet.cli.group import main
from p2pnet.errors import ModelError

PAGE = (Path(__file__).parent.parent / "docs" / "your-model.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of an agent whose settings and model are those of the page, and whose samples are arrays."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'p2pnet[torch]'")
    write_keys(tmp_path / "agent.key", generate_keys())
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", X=rng.standard_normal((30, 4, 4)), y=np.arange(30) % 3)
    network, load_into, *_ = blocks("python")
    assert "load_into" in load_into
    flattened = "nn.Sequential(nn.Flatten(), nn.Linear"
    (tmp_path / "mymodels.py").write_text(network.replace("nn.Sequential(nn.Linear", flattened), encoding="utf-8")
    (settings,) = blocks("toml")
    peer = f"{{ name = 'b', address = 'tcp://127.0.0.1:9', public_key = '{generate_keys().public}' }}"
    rest = f'[data]\nsource = "images.npz"\n[network]\nbind = "none"\nneighbors = [{peer}]\n'
    (tmp_path / "agent.toml").write_text(f"{settings}\n{rest}", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mymodels", raising=False)
    return tmp_path


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, arguments)


def test_a_module_beside_agent_toml_is_found_from_anywhere(directory: Path) -> None:
    result = invoke("check", str(directory / "agent.toml"))
    assert result.exit_code == 0, result.output
    assert "fit to run" in result.stdout
    refused = invoke("check", str(directory / "agent.toml"), "--set", "model.arguments={ wdth = 16 }")
    assert refused.exit_code == 65
    assert "unexpected keyword argument 'wdth'" in refused.stderr


def test_the_commands_of_the_page_work(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    commands = [line.partition("#")[0] for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) == 2
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "p2pnet"
        result = invoke(*arguments, *(["--no-compare"] if arguments[0] == "simulate" else []))
        assert result.exit_code == 0, result.output


def test_a_model_of_arrays_is_trained_saved_loaded_and_asked(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(directory)
    simulation = p2pnet.simulate(
        "images.npz", agents=2, factory="mymodels:Net", arguments={"width": 3}, rounds=5, is_compared=False
    )
    simulation.model.save("model.npz")
    loaded = p2pnet.load("model.npz", factory="mymodels:Net")
    assert loaded.description.network.arguments == {"width": 3}
    X = np.load("images.npz")["X"]
    np.testing.assert_array_equal(loaded.predict(X), simulation.model.predict(X.reshape(30, 16)))
    result = invoke("predict", "model.npz", "images.npz", "--factory", "mymodels:Net")
    assert result.stdout.split()[1:] == loaded.predict(X).tolist()
    with pytest.raises(ModelError, match=r"give its factory .*'mymodels:Net' when it was trained"):
        p2pnet.load("model.npz")
