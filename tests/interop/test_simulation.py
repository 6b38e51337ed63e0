"""`p2pnet.simulate`: what the command does, from Python."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import p2pnet
from p2pnet.data.samples import Samples
from p2pnet.errors import ConfigError
from p2pnet.experiments.progress_line import ProgressLine
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.experiments.simulate.run import simulate
from p2pnet.training.records import RoundRecord


def table(directory: Path) -> Path:
    """60 rows of a linear function of two columns of very different size."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2)) * [1000.0, 0.01] + [5000.0, 1.0]
    y = 3.0 * X[:, 0] + 1e5 * X[:, 1]
    rows = "".join(f"{a!r},{b!r},{c!r}\n" for (a, b), c in zip(X.tolist(), y.tolist(), strict=True))
    path = directory / "table.csv"
    path.write_text(f"weight,width,price\n{rows}", encoding="utf-8")
    return path


def test_it_trains_as_the_command_does() -> None:
    told: list[RoundRecord] = []
    found = p2pnet.simulate("iris", agents=3, rounds=20, hidden=(4,), progress=told.append)
    by_command = simulate(SimulateOptions(data="iris", agents=3, rounds=20, hidden=(4,), is_compared=False))
    np.testing.assert_array_equal(found.model.file.params, by_command.network.agents[0].params)
    assert told == list(found.histories["agent-1"])
    assert found.summary.agents == 3
    accuracy = np.mean(found.model.predict(found.test.X) == np.array(found.test.classes)[found.test.Y])
    assert accuracy == found.model.file.metrics["accuracy"]


def test_a_model_of_a_file_takes_raw_rows(tmp_path: Path) -> None:
    found = p2pnet.simulate(table(tmp_path), agents=3, rounds=60, hidden=(), penalty="none", progress=False)
    assert found.model.columns == ("weight", "width")
    np.testing.assert_allclose(found.model.predict([{"width": 1.0, "weight": 5000.0}]), 115_000.0, rtol=1e-3)
    assert isinstance(found.test, Samples)
    assert found.test.X[:, 0].mean() > 1000.0, "raw, as the model takes them"
    found.model.save(tmp_path / "model.npz")
    assert p2pnet.load(tmp_path / "model.npz").predict(found.test.X).shape == (12,)


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match="--agents 1: must be from 2"):
        p2pnet.simulate("iris", agents=1)


def test_progress_is_one_line_rewritten_now_and_then() -> None:
    stream = io.StringIO()
    now = iter([0.0, 0.0, 0.1, 0.3, 0.3])
    line = ProgressLine(stream, lambda: next(now))
    for round_ in range(3):
        line(RoundRecord(round_, 0.0, 0.5, 0.25, 0.0, 1.0, 10))
    line.close()
    first, *shown = stream.getvalue().split("\r")
    assert first == ""
    assert [text.split(":")[0] for text in shown] == ["round 0", "round 2", "round 2"]
    assert shown[-1].endswith("\n")


def test_the_package_itself_imports_nothing_heavy() -> None:
    code = """
import sys, p2pnet
print(*({name.partition(".")[0] for name in sys.modules} & {"numpy", "pydantic", "zmq", "sklearn", "pandas"}))
from p2pnet import load, simulate, Agent
print(*({name.partition(".")[0] for name in sys.modules} & {"sklearn", "pandas", "polars", "onnx", "matplotlib"}))
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "\n\n"
    with pytest.raises(AttributeError, match="no attribute 'Agnt'"):
        p2pnet.Agnt  # noqa: B018


def test_tables_with_categories_dates_and_gaps_are_trained_on_and_predicted_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [
        f"p{k},{'' if k % 9 == 0 else round(rng.normal(60, 9), 1)},2025-01-{k % 28 + 1:02},{'uvw'[k % 3]},"
        f"{'no' if k % 3 else 'yes'}"
        for k in range(120)
    ]
    (tmp_path / "table.csv").write_text("id,age,day,ward,y\n" + "\n".join(rows))
    roles: dict[str, Any] = {"ignore": ("id",), "categorical": ("ward",), "dates": ("day",), "missing": "mean"}
    found = p2pnet.simulate(tmp_path / "table.csv", agents=3, rounds=60, hidden=(), **roles)
    assert found.model.columns == ("age", "day", "ward")
    raw = [{"age": 61.0, "day": "2025-01-09", "ward": "u"}, {"age": None, "day": "2025-01-09", "ward": "v"}]
    assert list(found.model.predict(raw)) == ["yes", "no"]
