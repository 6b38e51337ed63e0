"""Every block of commands on a page is run: here, or by the test that is named here; or it says why it is not."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from p2pnet.cli.group import main
from tests.patients import write_patients

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN_HERE = ("p2pnet simulate ", "p2pnet sweep ", "printf ")
RUN_ELSEWHERE = {
    "docs/your-data.md": "tests/test_your_data.py",
    "docs/your-model.md": "tests/test_your_model.py",
    "docs/using-the-model.md": "tests/test_using_the_model.py",
    "docs/joining.md": "tests/agent/test_joining_processes.py",
}
NOT_RUN = {
    "README.md": "its commands are those of docs/quickstart.md and docs/joining.md",
    "docs/deploying.md": "needs systemd, an engine or a cluster; tests/deploy has what can be tried without them",
    "docs/page.md": "a browser looks at it in tests/page",
}


def blocks(page: Path) -> list[str]:
    return re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """The commands of all blocks, without what a person is told behind them."""
    lines = [line.strip() for block in blocks(page) for line in block.splitlines()]
    return [re.split(r"\s+#\s", line)[0] for line in lines if line and not line.startswith("#")]


HERE = [
    (page.name, command)
    for page in PAGES
    if page.relative_to(ROOT).as_posix() not in {**RUN_ELSEWHERE, **NOT_RUN}
    for command in commands(page)
    if command.startswith(RUN_HERE)
]


@pytest.mark.parametrize(("page", "command"), HERE, ids=[f"{page}: {command[:60]}" for page, command in HERE])
def test_the_command_does_what_it_should(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for before in commands(ROOT / "docs" / page):
        if before.startswith("printf "):
            subprocess.run(before, shell=True, check=True, cwd=tmp_path)  # noqa: S602  (a line of our own page)
    if command.startswith("printf "):
        return
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output


def test_a_hospital_is_told_what_settings_solve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_patients(Path("patients.csv"), "a", 60)
    (command,) = commands(ROOT / "docs" / "hospitals.md")
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output
    assert 'ignore = ["patient_id"' in result.output


def test_every_page_with_commands_is_accounted_for() -> None:
    with_commands = {page.relative_to(ROOT).as_posix() for page in PAGES if blocks(page)}
    here = {"docs/quickstart.md", "docs/operations.md", "docs/edge-devices.md", "docs/faults.md", "docs/hospitals.md"}
    assert with_commands == here | RUN_ELSEWHERE.keys() | NOT_RUN.keys()
    assert all((ROOT / test).exists() for test in RUN_ELSEWHERE.values())
