"""The control socket by itself: who may connect, what a line may be, what becomes of clients that misbehave."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from p2pnet.agent.control.client import ask
from p2pnet.agent.control.endpoint import MAX_PATH_BYTES, POINTER, socket_path, state_dir_of
from p2pnet.agent.control.server import MAX_CLIENTS, ControlServer
from p2pnet.agent.private_files import make_private_directory
from p2pnet.errors import ConfigError, ControlError


class Loop:
    """A daemon's loop: answers each request with the command that it names."""

    def __init__(self, path: Path) -> None:
        self._woken = Event()
        self._is_over = False
        self.server = ControlServer(path, self._woken.set)
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over:
            self._woken.wait()
            self._woken.clear()
            for request in self.server.take():
                if request.command == "after":
                    request.answer({"after": request.after})
                elif request.command == "forbidden":
                    request.refuse("that is forbidden")
                else:
                    request.answer({"asked": request.command})

    def close(self) -> None:
        self._is_over = True
        self._woken.set()
        self._thread.join()
        self.server.close()


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    """A state directory whose agent listens."""
    state_dir = tmp_path / "state"
    make_private_directory(state_dir)
    path = socket_path(state_dir, {"XDG_RUNTIME_DIR": str(tmp_path)}, os.geteuid())
    (state_dir / POINTER).write_bytes(bytes(path))
    with ExitStack() as at_exit:
        loop = Loop(path)
        at_exit.callback(loop.close)
        yield state_dir


def connected(state_dir: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10.0)
    connection.connect((state_dir / POINTER).read_text())
    return connection


def test_a_request_is_answered_by_the_loop(state_dir: Path) -> None:
    assert ask(state_dir, "status") == {"asked": "status"}
    with pytest.raises(ControlError, match="that is forbidden"):
        ask(state_dir, "forbidden")


def test_only_the_user_can_reach_the_socket(state_dir: Path) -> None:
    path = Path((state_dir / POINTER).read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_one_connection_may_ask_again_and_again_and_what_is_no_request_is_refused(state_dir: Path) -> None:
    with connected(state_dir) as connection, connection.makefile("rwb") as lines:
        for line, answer in [
            (b'{"command": "one"}', {"ok": {"asked": "one"}}),
            (b"what?", {"error": "not a line of JSON"}),
            (b"[" * 30_000, {"error": "not a line of JSON"}),
            (b"[1]", {"error": 'not of the form {"command": "status"}'}),
            (b'{"command": 3}', {"error": 'not of the form {"command": "status"}'}),
            (b'{"command": "one", "after": "two"}', {"error": 'not of the form {"command": "status"}'}),
            (b'{"command": "after", "after": 2}', {"ok": {"after": 2}}),
            (b'{"command": "two"}', {"ok": {"asked": "two"}}),
        ]:
            lines.write(line + b"\n")
            lines.flush()
            assert json.loads(lines.readline()) == answer


def test_clients_that_say_nothing_keep_out_others_only_while_they_are_there(state_dir: Path) -> None:
    with ExitStack() as at_exit:
        for _ in range(MAX_CLIENTS):
            connection = at_exit.enter_context(connected(state_dir))
            connection.sendall(b'{"command": "held"}\n')
            connection.recv(1)
        with pytest.raises(ControlError, match="closed the connection"):
            ask(state_dir, "status")
    for _ in range(100):  # until the threads of those that have gone have ended
        try:
            assert ask(state_dir, "status") == {"asked": "status"}
            break
        except ControlError:
            continue
    else:
        pytest.fail("the places of clients that have gone stay taken")


def test_where_no_agent_runs_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no agent runs there; start one with: p2pnet run"):
        ask(tmp_path, "status")
    (tmp_path / POINTER).write_text(str(tmp_path / "gone.sock"))
    with pytest.raises(ControlError, match="no agent runs there"):
        ask(tmp_path, "status")


@pytest.mark.parametrize(
    ("environment", "directory"),
    [
        ({"RUNTIME_DIRECTORY": "/run/p2pnet:/run/other", "XDG_RUNTIME_DIR": "/run/user/7"}, "/run/p2pnet"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/p2pnet"),
        ({}, "/tmp/p2pnet-7"),  # noqa: S108
    ],
)
def test_the_socket_is_in_the_runtime_directory_whatever_the_state_directory_is_called(
    environment: dict[str, str], directory: str
) -> None:
    paths = [socket_path(Path("/srv") / name, environment, 7) for name in ("a", "b", "x" * 200)]
    assert {str(path.parent) for path in paths} == {directory}
    assert len(set(paths)) == 3
    assert all(len(bytes(path)) <= MAX_PATH_BYTES for path in paths)
    with pytest.raises(ControlError, match="too many for the path of a socket"):
        socket_path(Path("/srv"), {"RUNTIME_DIRECTORY": "/" + "x" * MAX_PATH_BYTES}, 7)


def test_a_runtime_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(ControlError, match="others may write there"):
        ControlServer(shared / "a.sock", lambda: None)


def test_the_state_directory_is_that_of_the_file_or_of_what_overrules_it(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("[agent]\nname = 3\n")
    assert state_dir_of(file, [], {}) == tmp_path / "state"
    file.write_text("[agent]\nstate_dir = 'kept'\n")
    assert state_dir_of(file, [], {}) == tmp_path / "kept"
    assert state_dir_of(file, [], {"P2PNET_AGENT__STATE_DIR": "/a"}) == Path("/a")
    assert state_dir_of(file, ["agent.state_dir=/b"], {"P2PNET_AGENT__STATE_DIR": "/a"}) == Path("/b")
    file.write_text("?")
    with pytest.raises(ConfigError, match="is not TOML"):
        state_dir_of(file, [], {})


def test_closing_does_not_wait_until_the_server_looks_whether_it_is_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2pnet.agent.control.server._POLL_S", 3600.0)
    server = ControlServer(tmp_path / "control", lambda: None)
    closing = Thread(target=server.close, daemon=True)
    closing.start()
    closing.join(timeout=30)
    assert not closing.is_alive()
    assert not server.path.exists()
