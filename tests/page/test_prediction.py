"""POST /predict: the same numbers as everywhere else, limits, and errors that say what is wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette")

from click.testing import CliRunner
from starlette.testclient import TestClient

from p2pnet.cli.group import main
from p2pnet.page.app import make_app
from p2pnet.page.feed import AgentFeed
from p2pnet.training.trained_model import TrainedModel
from tests.page.agents import ScriptedAgent
from tests.page.test_routes import BEARER, OPTIONS, PORT
from tests.training.models import as_dicts, model_of, rows_for

MAX_BODY_BYTES = 20_000
JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[TestClient]:
    """A page whose agent has saved no model yet."""
    options = replace(OPTIONS, state_dir=tmp_path, is_predicting=True, max_body_bytes=MAX_BODY_BYTES)
    feed = AgentFeed(ScriptedAgent().connect, lambda: 0.0, lambda: 0.0)
    yield TestClient(make_app(options, PORT, feed), base_url=f"http://127.0.0.1:{PORT}", headers=BEARER)
    feed.close()


def saved(tmp_path: Path, loss: str = "softmax-cross-entropy", seed: int = 0) -> TrainedModel:
    model = model_of(loss, seed=seed)
    model.save(tmp_path / "model.npz")
    return model


def csv_of(model: TrainedModel, order: tuple[int, ...] = (0, 1, 2, 3)) -> str:
    text = io.StringIO()
    rows = as_dicts(model, rows_for(model), order)
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "logistic", "half-squared", "huber"])
def test_predictions_are_those_of_the_model_whatever_the_order_of_columns(
    page: TestClient, tmp_path: Path, loss: str
) -> None:
    model = saved(tmp_path, loss)
    X = rows_for(model)
    expected = model.predict(X)
    for order in ((0, 1, 2, 3), (3, 1, 0, 2)):
        answer = page.post("/predict", json=as_dicts(model, X, order))
        assert answer.status_code == 200
        predictions = answer.json()["predictions"]
        if not model.is_classifier:
            np.testing.assert_allclose(predictions, expected, atol=1e-6)
            continue
        assert predictions == expected.tolist()
        found = [[row[label] for label in model.classes] for row in answer.json()["probabilities"]]
        np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(("query", "flags"), [("", []), ("?proba", ["--proba"])])
def test_a_csv_file_is_answered_as_by_the_command(
    page: TestClient, tmp_path: Path, query: str, flags: list[str]
) -> None:
    model = saved(tmp_path)
    file = tmp_path / "rows.csv"
    file.write_text(csv_of(model, (3, 1, 0, 2)), encoding="utf-8")
    command = CliRunner().invoke(main, ["predict", str(tmp_path / "model.npz"), str(file), *flags])
    answer = page.post(f"/predict{query}", content=file.read_bytes(), headers=CSV)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text == command.stdout


def test_a_column_by_another_name_is_never_a_number(page: TestClient, tmp_path: Path) -> None:
    model = saved(tmp_path)
    rows = [{"years": row.pop("age"), **row} for row in as_dicts(model, rows_for(model))]
    answers = [
        page.post("/predict", json=rows),
        page.post("/predict", content=csv_of(model).replace("age", "years", 1).encode(), headers=CSV),
    ]
    for answer in answers:
        assert answer.status_code == 422
        assert "age" in answer.json()["error"]
        assert "predictions" not in answer.text
        assert str(tmp_path.parent) not in answer.text
        assert "p2pnet-page-" not in answer.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 5000, b'{"age": 1}', b"[1]", b'[{"age": "old"}]', b'"\xff"', b"NaN", b'[{"age": {}}]']
)
def test_what_is_no_list_of_rows_is_an_error_in_one_line(page: TestClient, tmp_path: Path, body: bytes) -> None:
    saved(tmp_path)
    answer = page.post("/predict", content=body, headers=JSON)
    assert answer.status_code == 422
    assert len(answer.json()["error"].splitlines()) == 1


def test_all_that_is_wrong_with_a_csv_file_is_told(page: TestClient, tmp_path: Path) -> None:
    model = saved(tmp_path)
    lines = csv_of(model).splitlines()
    lines[3] = "old,tall,1,2"
    answer = page.post("/predict", content="\n".join(lines).encode(), headers=CSV)
    assert answer.status_code == 422
    assert "rows.csv" in json.dumps(answer.json())


def test_a_large_body_is_refused_whether_it_says_how_large_or_not(page: TestClient, tmp_path: Path) -> None:
    saved(tmp_path)

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * (MAX_BODY_BYTES // 50)

    for content in (b" " * (MAX_BODY_BYTES + 1), chunks()):
        answer = page.post("/predict", content=content, headers=JSON)
        assert answer.status_code == 413
        assert str(MAX_BODY_BYTES) in answer.json()["error"]


def test_another_kind_of_body(page: TestClient, tmp_path: Path) -> None:
    saved(tmp_path)
    assert page.post("/predict", content=b"rows", headers={"Content-Type": "text/plain"}).status_code == 415
    assert page.get("/predict").status_code == 405


def test_without_a_model_and_with_a_damaged_one(page: TestClient, tmp_path: Path) -> None:
    answer = page.post("/predict", json=[])
    assert (answer.status_code, answer.json()["error"][:26]) == (503, "there is no model yet; the")
    (tmp_path / "model.npz").write_bytes(b"no archive")
    answer = page.post("/predict", json=[])
    assert answer.status_code == 500
    assert "model.npz" in answer.json()["error"]


def test_a_model_that_was_replaced_is_read_again(page: TestClient, tmp_path: Path) -> None:
    for seed in (0, 1):
        model = saved(tmp_path, "half-squared", seed)
        X = rows_for(model)
        found = page.post("/predict", json=as_dicts(model, X)).json()["predictions"]
        np.testing.assert_allclose(found, model.predict(X), atol=1e-6)


def test_a_site_that_is_elsewhere_cannot_have_a_browser_ask(page: TestClient, tmp_path: Path) -> None:
    saved(tmp_path)
    assert page.post("/predict", json=[], headers={"Authorization": ""}).status_code == 401
