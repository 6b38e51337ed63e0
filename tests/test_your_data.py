"""The commands of docs/your-data.md, run as they stand there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from p2pnet.cli.group import main
from p2pnet.config import read_settings
from p2pnet.data.encoding import EncodedColumn, Encoding
from p2pnet.data.scaling import no_scaling
from p2pnet.optim.models.mlp import Mlp
from p2pnet.training.model_file import ModelDescription, ModelFile, Network
from tests.patients import write_patients

PAGE = (Path(__file__).parent.parent / "docs" / "your-data.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table, and a model of it."""
    monkeypatch.chdir(tmp_path)
    write_patients(Path("patients.csv"), "a", 200)
    kinds = {"admitted": "date", "age": "number", "crp": "number", "sex": "category", "ward": "category"}
    columns = tuple(EncodedColumn(name, kind, ("f", "ICU")) for name, kind in kinds.items())  # type: ignore[arg-type]
    encoding = Encoding(columns, "mean").with_levels({"sex": ("f", "m"), "ward": ("ICU", "general")})
    network = Mlp((len(encoding.inputs), 2))
    description = ModelDescription(
        network=Network(text=network.describe(), sizes=network.sizes, activations=("identity",)),
        task="classification",
        classes=("died", "well"),
        feature_names=encoding.inputs,
        target_name="outcome",
        scaling=no_scaling(len(encoding.inputs)),
        loss="softmax-cross-entropy",
        encoding=encoding,
    )
    params = network.init(np.random.default_rng(0)).astype(np.float64)
    ModelFile(params=params, description=description).save(Path("model.npz"))
    return tmp_path


def test_every_command_of_the_page_does_what_the_page_says() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    commands = [line.partition("#")[0] for block in blocks for line in block.splitlines()]
    assert len(commands) == 4
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "p2pnet"
        result = CliRunner().invoke(main, arguments)
        is_refusal = arguments == ["check", "--data", "patients.csv"]
        assert result.exit_code == (65 if is_refusal else 0), f"{command}: {result.output}"
    assert read_settings(Path("data.toml"), environment={}).data.target == "outcome"


def test_every_setting_of_columns_and_files_stands_on_the_page() -> None:
    for name in (
        "features",
        "ignore",
        "categorical",
        "dates",
        "missing",
        "encoding",
        "delimiter",
        "decimal",
        "weights",
    ):
        assert f"`{name}`" in PAGE
