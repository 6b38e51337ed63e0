"""The unit file is one that systemd takes, and its exit codes are p2pnet's."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from p2pnet.errors import ConfigError, DataError, ModelError, P2pnetError, SecurityError, TransportError

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "p2pnet@.service"
MOST_EXPOSURE = 2.0
"""Of 10; below 2 systemd calls it OK."""


def values(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (apt-get install systemd)")
    return program


@pytest.fixture
def unit_here(tmp_path: Path) -> Path:
    """The unit with a program that is here in place of the installed one."""
    program = tmp_path / "p2pnet"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    text = UNIT.read_text().replace("/opt/p2pnet/.venv/bin/p2pnet", str(program))
    unit.write_text(text.replace("file:/opt/p2pnet/docs/", f"file:{UNIT.parents[2]}/docs/"))
    return unit


def test_systemd_finds_nothing_wrong(unit_here: Path) -> None:
    done = subprocess.run([analyze(), "verify", "--man=no", unit_here], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert unit_here.name.replace("@", "@i") not in done.stderr, done.stderr


def test_the_service_is_exposed_to_little(unit_here: Path) -> None:
    done = subprocess.run(
        [analyze(), "security", "--offline=true", "--no-pager", unit_here], capture_output=True, text=True
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSURE


def test_faults_that_need_a_person_are_not_tried_again() -> None:
    (codes,) = values("RestartPreventExitStatus")
    lasting = {error.exit_code for error in (ConfigError, DataError, ModelError, SecurityError)}
    assert {int(code) for code in codes.split()} == lasting
    assert {P2pnetError.exit_code, TransportError.exit_code}.isdisjoint(lasting)
    assert values("Restart") == ["on-failure"]
