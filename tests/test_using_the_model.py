"""The commands and the Python of docs/using-the-model.md, run as they stand there."""

import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from p2pnet.cli.export import SUFFIXES
from p2pnet.cli.group import main
from p2pnet.data.scaling import no_scaling
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.model_file import ModelDescription, ModelFile, Network

PAGE = (Path(__file__).parent.parent / "docs" / "using-the-model.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page says is in the working directory."""
    monkeypatch.chdir(tmp_path)
    network = Mlp((2, 3, 2))
    params = network.init(np.random.default_rng(0)).astype(np.float64)
    description = ModelDescription(
        network=Network(text=network.describe(), sizes=network.sizes, activations=("tanh", "identity")),
        task="classification",
        classes=("ham", "spam"),
        feature_names=("age", "height"),
        target_name="kind",
        scaling=no_scaling(2),
        loss="softmax-cross-entropy",
    )
    ModelFile(params=params, description=description).save(Path("model.npz"))
    Path("rows.csv").write_text("height,age\n1.8,41\n1.6,30\n", encoding="utf-8")
    Path("labelled.csv").write_text("height,age,kind\n1.8,41,ham\n1.6,30,spam\n1.7,3,ham\n", encoding="utf-8")
    return tmp_path


def test_every_command_of_the_page_works() -> None:
    commands = [line.partition("#")[0] for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) >= 9
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "p2pnet"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, f"{command}: {result.output}"
    written = {"predictions.csv", "evaluation.png", "small.onnx", *(f"model{suffix}" for suffix in SUFFIXES.values())}
    assert written <= {path.name for path in Path().iterdir()}


def test_the_python_of_the_page_works() -> None:
    found = blocks("python")
    assert len(found) == 2
    with warnings.catch_warnings():
        for block in found:
            exec(block, {})  # noqa: S102  (the page's own text)
