"""The routes: what each answers, to whom, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("starlette")

from starlette.testclient import TestClient

from p2pnet.page.app import STATIC, make_app
from p2pnet.page.feed import AgentFeed
from p2pnet.page.options import BindAddress, Certificate, PageOptions
from tests.page.agents import ScriptedAgent

TOKEN = "the-token-of-this-test"  # noqa: S105
PORT = 7170
OPTIONS = PageOptions(
    state_dir=Path("/nonexistent"),
    bind=BindAddress(host="127.0.0.1", port=PORT),
    names=frozenset({"localhost", "127.0.0.1"}),
    token=TOKEN,
    certificate=None,
    is_predicting=False,
    max_body_bytes=1000,
    factory=None,
)
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Calling = Callable[..., TestClient]


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
def calling(agent: ScriptedAgent) -> Iterator[Calling]:
    """Makes a browser that calls the page by a name; it looks each time, as if a second had passed."""
    seconds = iter(range(1_000_000))
    feed = AgentFeed(agent.connect, lambda: float(next(seconds)), lambda: 1_700_000_000.0)

    def call(
        base_url: str = f"http://127.0.0.1:{PORT}", options: PageOptions = OPTIONS, port: int = PORT
    ) -> TestClient:
        return TestClient(make_app(options, port, feed), base_url=base_url, follow_redirects=False)

    yield call
    feed.close()


@pytest.fixture
def page(calling: Calling) -> TestClient:
    """A browser that has been let in."""
    client = calling()
    client.get("/", params={"token": TOKEN})
    return client


def test_the_token_in_the_address_becomes_a_cookie_for_this_page_alone(calling: Calling) -> None:
    client = calling()
    assert client.get("/").status_code == 401
    entry = client.get("/", params={"token": TOKEN})
    assert (entry.status_code, entry.headers["location"]) == (303, "/")
    cookie = entry.headers["set-cookie"]
    assert cookie.startswith(f"p2pnet-{PORT}={TOKEN};")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    page = client.get("/")
    assert page.status_code == 200
    assert "<title>p2pnet</title>" in page.text


def test_over_tls_the_cookie_is_never_sent_without(calling: Calling) -> None:
    options = replace(OPTIONS, certificate=Certificate(Path("chain"), Path("key")))
    client = calling(f"https://localhost:{PORT}", options)
    assert "Secure" in client.get("/", params={"token": TOKEN}).headers["set-cookie"]


@pytest.mark.parametrize("path", ["/", "/stream", "/snapshot", "/metrics", "/static/main.js", "/predict", "/none"])
def test_without_the_token_nothing_is_told(calling: Calling, agent: ScriptedAgent, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"p2pnet-{PORT}=wrong"}):
        answer = calling().get(path, headers=headers)
        assert answer.status_code == 401
        assert "Open the address" in answer.text
    assert calling().get(path, params={"token": "wrong"}).status_code == 401
    assert agent.commands() == []


def test_the_token_in_the_address_lets_in_at_the_front_door_only(calling: Calling) -> None:
    assert calling().get("/snapshot", params={"token": TOKEN}).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1:1", "127.0.0.1", "", "LOCALHOST."])
def test_called_by_another_name_the_page_does_not_answer(calling: Calling, host: str) -> None:
    answer = calling().get("/snapshot", headers={**BEARER, "Host": host})
    assert answer.status_code == 421


def test_names_are_compared_without_their_case_and_the_default_port_need_not_be_said(calling: Calling) -> None:
    assert calling().get("/snapshot", headers={**BEARER, "Host": f"LocalHost:{PORT}"}).status_code == 200
    client = calling("http://localhost", port=80)
    assert client.get("/snapshot", headers=BEARER).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/stream", "/snapshot", "/metrics", "/healthz", "/readyz", "/static/main.js"])
def test_all_is_read_only(page: TestClient, path: str, method: str) -> None:
    assert page.request(method, path).status_code == 405


def test_where_predictions_are_not_asked_for_there_are_none_and_the_setting_is_named(page: TestClient) -> None:
    answer = page.post("/predict", json=[])
    assert answer.status_code == 404
    assert "predict = true in [page] of agent.toml" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/snapshot", "/metrics", "/healthz", "/static/main.js", "/none"])
def test_every_answer_says_what_a_browser_may_do_with_it(page: TestClient, path: str) -> None:
    headers = page.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_no_file_but_those_of_the_page_is_served(page: TestClient) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/", "/static/views"):
        assert page.get(path).status_code in (404, 405), path


def test_every_file_that_the_page_names_is_there_and_none_is_elsewhere(page: TestClient) -> None:
    files = [path for path in STATIC.rglob("*") if path.suffix in {".html", ".js", ".css"}]
    assert len(files) > 15
    for path in files:
        assert page.get(f"/static/{path.relative_to(STATIC)}").status_code == 200
        if "vendor" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert "https://" not in text.replace("http://www.w3.org/2000/svg", ""), f"{path} names another site"
            assert "<script>" not in text
            assert " style=" not in text
    assert (STATIC / "vendor" / "uPlot.LICENSE.txt").read_text(encoding="utf-8").startswith("The MIT License")


def test_whether_the_process_lives_and_the_agent_answers_may_be_asked_by_all(
    calling: Calling, agent: ScriptedAgent
) -> None:
    anyone = calling("http://10.1.2.3:7170")
    assert anyone.get("/healthz").status_code == 200
    assert anyone.get("/readyz").status_code == 200
    agent.is_there = False
    assert anyone.get("/healthz").status_code == 200
    assert anyone.get("/readyz").status_code == 503


def test_the_whole_view_at_once(page: TestClient) -> None:
    view = page.get("/snapshot").json()
    assert (view["status"]["agent"], len(view["agents"]), len(view["points"])) == ("agent-1", 2, 3)


def test_the_page_says_that_the_agent_is_gone_and_that_it_is_back(page: TestClient, agent: ScriptedAgent) -> None:
    agent.is_there = False
    gone = page.get("/snapshot").json()
    assert (gone["is_running"], gone["problem"]) == (False, "state: no agent runs there")
    agent.is_there = True
    assert page.get("/snapshot").json()["is_running"]
