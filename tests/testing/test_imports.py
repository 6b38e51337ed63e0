"""The harness is used by tests and the demo only, and its pure modules have no world."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "p2pnet"
ALLOWED = {"agent", "config", "data", "errors", "protocol", "simulation", "testing", "training"}
WORLD = {"os", "pathlib", "random", "secrets", "signal", "socket", "subprocess", "tempfile", "threading", "time"}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
    return names


def test_the_harness_imports_few_rooms() -> None:
    for path in (PACKAGE / "testing").glob("*.py"):
        rooms = {name.split(".")[1] for name in imports(path) if name.startswith("p2pnet.")}
        assert rooms <= ALLOWED, path.name


def test_the_demo_and_the_scripts_that_start_agents_alone_import_the_harness() -> None:
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith(("testing/", "experiments/demo/", "interop/agent.py")):
            assert not any(name.startswith("p2pnet.testing") for name in imports(path)), place


@pytest.mark.parametrize("name", ["lies", "problems", "introductions"])
def test_a_pure_module_of_the_harness_imports_nothing_that_sees_the_world(name: str) -> None:
    names = {imported.partition(".")[0] for imported in imports(PACKAGE / "testing" / f"{name}.py")}
    assert names <= {"numpy", "p2pnet", *sys.stdlib_module_names}
    assert not names & WORLD
