"""The examples of networks of one's own, trained by the commands that stand in them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from p2pnet.cli.group import main

EXAMPLES = Path(__file__).parents[2] / "examples"
LEAST_ACCURACY = {"convolutional": 0.985, "recurrent": 0.9, "frozen_features": 0.95}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the examples."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'p2pnet[torch]'")
    for path in EXAMPLES.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in LEAST_ACCURACY:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_every_example_of_a_network_has_a_bound() -> None:
    networks = {path.stem for path in EXAMPLES.glob("*.py") if "--factory" in path.read_text(encoding="utf-8")}
    assert networks == LEAST_ACCURACY.keys()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", LEAST_ACCURACY)
def test_the_commands_of_an_example_train_its_network(name: str, directory: Path) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    for line in re.findall(r"^python (\w+\.py)", text, flags=re.MULTILINE):
        subprocess.run([sys.executable, line], check=True, cwd=directory)
    (command,) = re.findall(r"^p2pnet (simulate .*)$", text, flags=re.MULTILINE)
    result = CliRunner().invoke(main, [*shlex.split(command), "--no-compare", "--report", "report", "--json"])
    assert result.exit_code == 0, result.output
    found = re.search(r'"test_metric_worst": ([\d.]+)', result.stdout)
    assert found is not None
    assert float(found[1]) >= LEAST_ACCURACY[name]
