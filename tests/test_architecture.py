"""Imports go one way only: this reads them from the sources, nothing is run."""

import ast
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "p2pnet"

SEES_THE_WORLD = {
    *(
        "asyncio",
        "concurrent",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "selectors",
    ),
    *("signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "datetime"),
}
"""Modules of the standard library that have clocks, files, threads, processes, sockets, logs or global randomness."""

FORBIDDEN_SERIALISERS = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}

LAYERS = {
    "errors": (),
    "catalogue": ("errors",),
    "config": ("errors", "catalogue"),
    "optim": ("errors", "catalogue"),
    "protocol": ("errors",),
    "data": ("errors", "catalogue"),
    "training": (
        *("errors", "catalogue", "optim", "data", "protocol.core", "protocol.messages"),
        "protocol.links.conservation",  # the ledger in an outcome
        *("protocol.rounds.moments", "protocol.rounds.fingerprints"),  # what goes into the statistics, and its name
        "protocol.rounds.snapshot",  # what a checkpoint holds of the rounds
    ),
    "simulation": ("errors", "protocol", "training"),
    "agent": ("errors", "catalogue", "config", "data", "protocol", "training"),
    "testing": ("errors", "config", "data", "protocol", "training", "simulation", "agent"),
    "experiments": (
        *("errors", "catalogue", "optim", "protocol", "data", "training", "simulation", "testing"),
        # An experiment begins with the defaults of an agent, and writes and reads the files of one.
        *("agent.options", "agent.history", "agent.atomic_files", "agent.transport.keys"),
    ),
    "interop": (
        *("errors", "catalogue", "config", "optim", "data", "training", "testing", "experiments"),
        *("agent.history", "agent.transport.keys"),
    ),
    "page": ("errors", "config", "data", "training", "agent"),
    "cli": ("errors", "catalogue", "config", "data", "training", "agent", "experiments", "interop", "page"),
    "__main__": ("cli",),
}
"""What each package may import besides itself, from the bottom to the top: no package imports a later one."""

LAYERS_OF_THE_PROTOCOL = {
    "core": (),
    "messages": ("core",),
    "links": ("core", "messages"),
    "rounds": ("core", "messages", "links"),
    "membership": ("core", "messages"),
    "peering": ("core", "messages", "membership"),
    "reports": ("core", "messages"),
    "trust": ("core", "messages"),
    "node": ("core", "messages", "rounds", "peering", "reports", "trust"),
}
"""The same for the packages of `protocol`."""

READ_SETTINGS = {
    "interop/agent.py",  # writes the settings of the agent that it starts
    *("agent/options.py", "agent/assembly.py"),
    *(
        "agent/run.py",
        "agent/terms.py",
        "agent/control/reloading.py",
        "agent/diagnostics/check.py",
        "agent/diagnostics/check_data.py",
        "page/options.py",
    ),  # where a command begins: passed on to the two above as they are
}
"""All that import the class of the settings, or of a section, outside of `config`; the others have options."""

SEES_BOTH_ROOMS = {"training/learner.py", "agent/daemon.py", "experiments/simulate/descent.py"}
"""Where mathematics and decisions are put together; no other file knows both."""


WRITTEN_FOR_AN_EXTRA = {
    *("interop/sklearn.py", "interop/sklearn_pipeline.py"),
    *("interop/jax.py", "interop/torch.py", "interop/torch_checks.py"),
    *("page/app.py", "page/guard.py", "page/metrics.py", "page/serving.py"),
}
"""Modules that import another library at their start, and are themselves imported only when they are asked for."""


@cache
def imports(path: Path) -> frozenset[str]:
    """Full names of all modules that a source imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def imported_at_start(path: Path) -> set[str]:
    """First names of the modules that are imported as soon as the source is."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    return names


def sources(room: str = "") -> Iterator[Path]:
    return (PACKAGE / room).rglob("*.py")


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


@pytest.mark.parametrize(
    ("room", "libraries"),
    [("optim", {"numpy", "threadpoolctl"}), ("protocol", {"numpy", "msgpack"})],
)
def test_a_room_without_a_world_imports_its_own_and_a_few_pure_libraries(room: str, libraries: set[str]) -> None:
    assert any(sources(room))
    for path in sources(room):
        for name in imports(path):
            first = name.partition(".")[0]
            is_allowed = (
                first in libraries
                or is_within(name, f"p2pnet.{room}")
                or is_within(name, "p2pnet.errors")
                or (room == "optim" and is_within(name, "p2pnet.catalogue"))
                or (first in sys.stdlib_module_names and first not in SEES_THE_WORLD)
            )
            assert is_allowed, f"{path.relative_to(PACKAGE)} must not import {name}"
            assert not is_within(name, "numpy.random"), f"{path.relative_to(PACKAGE)}: randomness is an argument"


def test_global_randomness_is_used_nowhere() -> None:
    generators = {"Generator", "RandomState", "default_rng", "SeedSequence", "PCG64"}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
                assert node.attr in generators, f"{path.relative_to(PACKAGE)}: np.random.{node.attr} is global"


def test_mathematics_and_decisions_meet_in_named_places_only() -> None:
    for path in sources():
        rooms = {room for room in ("optim", "protocol") for name in imports(path) if is_within(name, f"p2pnet.{room}")}
        place = path.relative_to(PACKAGE).as_posix()
        assert len(rooms) < 2 or place in SEES_BOTH_ROOMS, f"{place} sees optim and protocol"


def test_sockets_are_in_the_agent_only() -> None:
    for path in sources():
        place = path.relative_to(PACKAGE)
        if place.parts[0] != "agent":
            assert not any(is_within(name, "zmq") for name in imports(path)), f"{place} must not import zmq"


def test_nothing_is_ever_unpickled() -> None:
    for path in sources():
        names = {name.partition(".")[0] for name in imports(path)}
        assert not names & FORBIDDEN_SERIALISERS, f"{path.relative_to(PACKAGE)} must not use pickle or its kin"


@pytest.mark.parametrize(
    ("base", "layers"),
    [("p2pnet", LAYERS), ("p2pnet.protocol", LAYERS_OF_THE_PROTOCOL)],
    ids=["packages", "packages of the protocol"],
)
def test_imports_go_down_the_layers(base: str, layers: Mapping[str, Collection[str]]) -> None:
    directory = PACKAGE.parent / base.replace(".", "/")
    places = {path.relative_to(directory).parts[0].removesuffix(".py") for path in directory.rglob("*.py")}
    assert places - {"__init__"} == layers.keys()
    below: set[str] = set()
    for layer, allowed in layers.items():
        assert {name.partition(".")[0] for name in allowed} <= below, f"{layer} is listed before what it imports"
        below.add(layer)
    used: set[tuple[str, str]] = set()
    for path in directory.rglob("*.py"):
        layer = path.relative_to(directory).parts[0].removesuffix(".py")
        for name in imports(path):
            if layer == "__init__" or not is_within(name, base) or name == f"{base}.__version__":
                continue
            found = [one for one in (layer, *layers[layer]) if is_within(name, f"{base}.{one}")]
            assert found, f"{path.relative_to(PACKAGE)} must not import {name}"
            used |= {(layer, one) for one in found}
    assert {(layer, one) for layer, allowed in layers.items() for one in allowed} <= used, "allowed, and never needed"


def test_no_module_imports_another_that_imports_it() -> None:
    modules = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources()}
    known = set(modules.values())
    imported_by = {
        module: {one for name in imports(path) for one in (name, name.rpartition(".")[0]) if one in known}
        for path, module in modules.items()
    }
    TopologicalSorter(imported_by).prepare()  # raises CycleError, which names the modules


def test_no_class_name_stands_twice() -> None:
    places: dict[str, list[str]] = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(path.relative_to(PACKAGE).as_posix())
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_settings_are_read_where_options_are_made_of_them() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in sources()
        if any(is_within(name, "p2pnet.config") and name.endswith("Settings") for name in imports(path))
    }
    assert {place for place in found if not place.startswith("config/")} == READ_SETTINGS


def test_the_catalogue_needs_the_standard_library_only() -> None:
    for path in sources("catalogue"):
        assert {name.partition(".")[0] for name in imports(path)} <= {*sys.stdlib_module_names, "p2pnet"}


ROOMS_WHOSE_MODULES_HAVE_TESTS_OF_THEIR_OWN = ("optim", "protocol", "catalogue")


@pytest.mark.parametrize("room", ROOMS_WHOSE_MODULES_HAVE_TESTS_OF_THEIR_OWN)
def test_every_module_has_a_test_module_that_imports_it_directly(room: str) -> None:
    tests = ROOT / "tests"
    imported = {name.rpartition(".")[0] for path in tests.rglob("test_*.py") for name in imports(path)}
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources(room) if path.name != "__init__.py"
    }
    assert modules
    assert sorted(modules - imported) == []


def test_the_command_line_imports_what_a_command_needs_when_it_runs() -> None:
    assert any(sources("cli"))
    for path in sources("cli"):
        light = {
            "collections",
            "contextlib",
            "functools",
            "gc",
            "importlib",
            "json",
            "pathlib",
            "sys",
            "time",
            "typing",
        }
        assert imported_at_start(path) <= light | {"click", "p2pnet"}
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module is not None and is_within(node.module, "p2pnet"):
                rooms = ("p2pnet.cli", "p2pnet.catalogue", "p2pnet.errors")
                assert node.module == "p2pnet" or any(is_within(node.module, one) for one in rooms), path.name


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    heavy = {
        "flax",
        "ifaddr",
        "jax",
        "matplotlib",
        "onnx",
        "prometheus_client",
        "rich",
        "safetensors",
        "scipy",
        "sklearn",
        "starlette",
        "torch",
        "uvicorn",
        "zeroconf",
    }
    for path in sources():
        if path.relative_to(PACKAGE).as_posix() in WRITTEN_FOR_AN_EXTRA:
            continue
        assert not imported_at_start(path) & heavy, f"{path.relative_to(PACKAGE)} imports a heavy library at its start"


def test_what_cannot_be_imported_without_an_extra_is_imported_when_it_is_asked_for() -> None:
    modules = {f"p2pnet.{place.removesuffix('.py').replace('/', '.')}" for place in WRITTEN_FOR_AN_EXTRA}
    for path in sources():
        at_start = {
            str(node.module)
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ImportFrom)
        }
        if path.relative_to(PACKAGE).as_posix() in WRITTEN_FOR_AN_EXTRA:
            continue
        assert not at_start & modules, f"{path.relative_to(PACKAGE)} needs an extra as soon as it is imported"


def test_linter_and_type_checker_see_the_scripts_without_a_suffix() -> None:
    files = [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
    scripts = {
        f"scripts/{path.name}"
        for path in files
        if not path.suffix and "python" in path.read_text(encoding="utf-8").partition("\n")[0]
    }
    assert {path.name for path in files} == {"demo", "test", "install", "generate"}
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert scripts == set(tools["ruff"]["extend-include"])
    assert scripts == set(tools["mypy"]["files"]) - {"p2pnet", "tests", "benchmarks", "studies", "tools"}
