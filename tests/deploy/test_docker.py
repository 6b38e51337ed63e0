"""The image's recipe and the three agents of the example, as far as they go without an engine."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from p2pnet.testing import LocalAgent, free_ports
from p2pnet.testing.files import AgentFiles

DOCKER = Path(__file__).parents[2] / "deploy" / "docker"


def tool(name: str) -> Path:
    found = Path(sys.executable).with_name(name)
    if not found.exists():
        pytest.skip(f"{name} is not installed (scripts/install test)")
    return found


def test_the_dockerfile_is_without_findings() -> None:
    done = subprocess.run([tool("hadolint"), DOCKER / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_compose_file_keeps_the_specification() -> None:
    done = subprocess.run(
        [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_agent_of_the_compose_file_sees_its_own_directories_only() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    for name in ("agent-1", "agent-2", "agent-3"):
        number = name.removeprefix("agent-")
        assert services[name]["volumes"] == [f"config-{number}:/config:ro", f"state-{number}:/state"]
        assert services[name]["read_only"] is True


def test_what_is_prepared_trains_one_model(tmp_path: Path) -> None:
    """The agents as they stand in the containers, with ports of the loopback for the names of the hosts."""
    agents, states = tmp_path / "agents", tmp_path / "states"
    prepare = [sys.executable, str(DOCKER / "prepare.py"), str(agents), str(states)]
    subprocess.run(prepare, check=True)
    keys = [(agents / f"agent-{k}" / "agent.key").read_bytes() for k in (1, 2, 3)]
    subprocess.run(prepare, check=True)
    assert [(agents / f"agent-{k}" / "agent.key").read_bytes() for k in (1, 2, 3)] == keys, "a second time keeps all"

    for path in (*agents.rglob("*"), *states.rglob("*")):
        os.chown(path, os.geteuid(), os.getegid())  # root has given them to the image's user
    ports = dict(zip(("agent-1", "agent-2", "agent-3"), free_ports(3), strict=True))
    with ExitStack() as at_exit:
        running = []
        for name, port in ports.items():
            settings = agents / name / "agent.toml"
            text = settings.read_text().replace("tcp://0.0.0.0:7070", f"tcp://127.0.0.1:{port}")
            for other, its_port in ports.items():
                text = re.sub(f"tcp://{other}:7070", f"tcp://127.0.0.1:{its_port}", text)
            settings.write_text(text)
            agent = at_exit.enter_context(LocalAgent(AgentFiles(name, agents / name)))
            agent.start(environment={"P2PNET_AGENT__STATE_DIR": str(states / name)})
            running.append(agent)
        assert [agent.exit_code() for agent in running] == [0, 0, 0]
    models = [(states / name / "model.npz").stat().st_size for name in ports]
    assert all(models)
