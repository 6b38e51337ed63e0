"""The page as a process: its address, its streams, its certificate, and its end; an agent that goes and comes back."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

pytest.importorskip("uvicorn")

from p2pnet.cli.group import main
from p2pnet.errors import ConfigError
from p2pnet.experiments.demo.page import ServedPage, served_page
from p2pnet.page.app import MAX_STREAMS
from p2pnet.testing import Fleet, wait_until
from tests.page.running import running_demo

TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running_demo(tmp_path_factory.mktemp("fleet"), 2, "iris") as (fleet, _):
        yield fleet


@pytest.fixture
def page(fleet: Fleet) -> Iterator[ServedPage]:
    with served_page(fleet[0].files.config) as page:
        yield page


def request(page: ServedPage, path: str, body: bytes | None = None) -> Request:
    parts = urlsplit(page.address)
    token = parts.query.removeprefix("token=")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return Request(f"{parts.scheme}://{parts.netloc}{path}", body, headers)  # noqa: S310


def get(page: ServedPage, path: str, context: ssl.SSLContext | None = None) -> bytes:
    with urlopen(request(page, path), timeout=TIMEOUT_S, context=context) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content


@contextmanager
def stream(page: ServedPage) -> Iterator[Iterator[dict[str, Any]]]:
    """The updates of the page, as they come."""
    with urlopen(request(page, "/stream"), timeout=TIMEOUT_S) as lines:  # noqa: S310
        yield (json.loads(line.removeprefix(b"data: ")) for line in lines if line.startswith(b"data: "))


def test_updates_come_once_a_second(page: ServedPage, fleet: Fleet) -> None:
    with stream(page) as updates:
        first, second = next(updates), next(updates)
    assert first["is_anew"]
    assert first["status"]["agent"] == fleet[0].name
    assert len(first["points"]) > 3
    assert second["status"]["running_s"] > first["status"]["running_s"]
    assert not second["is_anew"]


def test_a_few_may_look_at_once(page: ServedPage) -> None:
    with ExitStack() as at_exit:
        for _ in range(MAX_STREAMS):
            next(at_exit.enter_context(stream(page)))
        with pytest.raises(HTTPError, match="503"):
            at_exit.enter_context(stream(page))
    with stream(page) as updates:
        next(updates)


def test_metrics_and_predictions_are_served_beside(page: ServedPage, fleet: Fleet) -> None:
    assert b'p2pnet_agent_info{agent="agent-1"' in get(page, "/metrics")
    fleet.until(lambda: (fleet[0].files.state.path / "model.npz").is_file())
    with urlopen(request(page, "/predict", b"[]"), timeout=TIMEOUT_S) as answer:  # noqa: S310
        assert json.loads(answer.read())["predictions"] == []


def test_an_agent_that_is_killed_and_started_again_is_said_to_be_gone_and_back(page: ServedPage, fleet: Fleet) -> None:
    with stream(page) as updates:
        before = next(updates)
        fleet.kill([0])
        gone = next(update for update in updates if not update["is_running"])
        assert "no agent runs there" in gone["problem"]
        fleet.start([0])
        back = next(update for update in updates if update["is_running"])
        assert back["status"]["pid"] != before["status"]["pid"]


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_the_page_ends_when_it_is_told_though_somebody_looks(
    fleet: Fleet, number: signal.Signals, exit_code: int
) -> None:
    command = [sys.executable, "-m", "p2pnet", "page", str(fleet[0].files.config), "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        with stream(ServedPage(process.stdout.readline().strip(), process.pid)) as updates:
            next(updates)
            process.send_signal(number)
            assert process.wait(TIMEOUT_S) == exit_code
        assert process.stderr.read() == ""


def test_over_tls(fleet: Fleet, tmp_path: Path) -> None:
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl, which makes certificates")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(chain)]
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files], check=True, capture_output=True
    )
    options = ["--bind", "0.0.0.0:0", "--host", "localhost", "--certificate", str(chain), "--key", str(key)]
    with served_page(fleet[0].files.config, *options) as page:
        assert page.address.startswith("https://localhost:")
        context = ssl.create_default_context(cafile=str(chain))
        assert json.loads(get(page, "/snapshot", context))["is_running"]
    key.write_text("no key")
    with pytest.raises(ConfigError, match="cannot be used"), served_page(fleet[0].files.config, *options):
        pass


def test_without_an_agent_the_page_waits_for_one(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('[data]\nsource = "samples.csv"\n')
    with served_page(tmp_path / "agent.toml") as page:
        view = json.loads(get(page, "/snapshot"))
        assert not view["is_running"]
        assert "no agent runs there" in view["problem"]


def test_an_address_that_is_taken_and_an_extra_that_is_missing_are_one_line_each(
    fleet: Fleet, page: ServedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["page", str(fleet[0].files.config), "--bind", urlsplit(page.address).netloc]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stdout) == (69, "")
    assert "in use; give another, or port 0" in result.stderr
    monkeypatch.setitem(sys.modules, "starlette", None)
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stdout) == (78, "")
    assert "pip install 'p2pnet[page]'" in result.stderr


def test_the_page_of_a_demo_stays_until_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "p2pnet", "demo", "--agents", "2", "--data", "iris", "--hidden", "none"]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen([*command, "--rounds", "5", "--page", "--json"], stdout=subprocess.PIPE, stderr=log) as demo,
    ):

        def said() -> str:
            return (tmp_path / "log").read_text(encoding="utf-8")

        wait_until(lambda: "until Ctrl-C" in said(), said)
        address = said().splitlines()[0].removeprefix("The page of agent-1: ")
        assert "p2pnet" in get(ServedPage(address, 0), "/").decode()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(TIMEOUT_S) == 0
        assert demo.stdout is not None
        assert json.loads(demo.stdout.read())["agents"] == 2
