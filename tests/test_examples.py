"""The examples that end with a plot, run as they stand."""

import runpy
from pathlib import Path

import matplotlib as mpl
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("name", ["bad_network", "sparse_model", "together_or_alone"])
def test_the_example_ends_with_a_plot(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    runpy.run_path(str(EXAMPLES / f"{name}.py"))
    assert (tmp_path / f"{name}.png").stat().st_size > 15_000
