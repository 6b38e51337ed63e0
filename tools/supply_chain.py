"""Where the software comes from: known faults of dependencies, a bill of materials, a wheel that can be built again.

    .venv/bin/python tools/supply_chain.py [audit | sbom | wheel | lowest] [--out build/supply-chain]

    audit    known vulnerabilities of what an installation consists of (pip-audit); a package that could not be looked
             up counts as found, so that an index without such a list does not pass for one without faults
    sbom     the same as a bill of materials, CycloneDX (cyclonedx-bom)
    wheel    builds the wheel twice, in directories of their own and at other times: the bytes are to be the same
    lowest   installs the lowest releases that pyproject.toml allows, and runs the tests of mathematics, protocol and
             daemon with them (uv resolves); then agents with them train with agents that have the installed ones

Tools are installed into an environment of their own in the directory of the output. Exit code 1 where something is
found.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ("tests/optim", "tests/protocol", "tests/test_config.py", "tests/test_cli.py", "tests/agent/test_daemon.py")
TEST_PACKAGES = (
    "pytest>=8.2",
    "pytest-timeout",
    "pytest-xdist",
    "hypothesis",
    "scipy",
    "scikit-learn",
    "pyarrow",
    "pandas",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}; default: the first three")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "supply-chain")
    options = parser.parse_args()
    for name in options.steps:
        if name not in STEPS:
            parser.error(f"{name} is none of {', '.join(STEPS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    failed = [name for name in options.steps or ("audit", "sbom", "wheel") if not STEPS[name](options.out.resolve())]
    for name in failed:
        print(f"{name}: found something, see above")
    sys.exit(1 if failed else 0)


def audit(out: Path) -> bool:
    installed = environment(out / "installed", str(ROOT))
    tools = environment(out / "tools", "pip-audit", "cyclonedx-bom")
    requirements = out / "requirements.txt"
    frozen = run([installed, "-m", "pip", "freeze", "--exclude", "p2pnet"]).stdout
    requirements.write_text("".join(f"{line}\n" for line in frozen.splitlines() if "==" in line))
    done = run(
        [tools, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip", "--requirement", requirements],
        is_checked=False,
    )
    print(done.stdout + done.stderr)
    return done.returncode == 0


def sbom(out: Path) -> bool:
    installed = environment(out / "installed", str(ROOT))
    tools = environment(out / "tools", "pip-audit", "cyclonedx-bom")
    listed = run([tools, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON", installed])
    (out / "p2pnet.cdx.json").write_text(listed.stdout)
    print(f"bill of materials: {out / 'p2pnet.cdx.json'}")
    return True


def wheel(out: Path) -> bool:
    """Build twice from what git holds, with the time of the commit for all files."""
    time_of_commit = run(["git", "log", "-1", "--format=%ct"]).stdout.strip()
    digests = set()
    for _ in range(2):
        with tempfile.TemporaryDirectory() as directory:
            source = Path(directory) / "source"
            run(["git", "clone", "--quiet", str(ROOT), str(source)])
            pip = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--wheel-dir", directory, str(source)]
            run(pip, {"SOURCE_DATE_EPOCH": time_of_commit})
            (built,) = Path(directory).glob("*.whl")
            digests.add(hashlib.sha256(built.read_bytes()).hexdigest())
            shutil.copy(built, out)
    print(f"wheel: {' '.join(sorted(digests))}")
    return len(digests) == 1


def lowest(out: Path) -> bool:
    """The lowest releases of what is named in pyproject.toml, and the latest of what these need."""
    tools = environment(out / "tools-uv", "uv")
    pins = out / "lowest.txt"
    run([tools, "-m", "uv", "pip", "compile", "--quiet", "--resolution", "lowest-direct", "-o", pins, "pyproject.toml"])
    python = environment(out / "lowest", "--constraint", str(pins), "--editable", str(ROOT), *TEST_PACKAGES)
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([str(python), *pytest, *TESTS], cwd=ROOT, check=False)
    packages = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).stdout.strip()
    environment_of_both = {**os.environ, "P2PNET_OTHER_PACKAGES": packages}
    together = subprocess.run(
        [sys.executable, *pytest, "tests/compatibility/test_other_packages.py"],
        cwd=ROOT,
        env=environment_of_both,
        check=False,
    )
    return done.returncode == 0 and together.returncode == 0


STEPS: Mapping[str, Callable[[Path], bool]] = {"audit": audit, "sbom": sbom, "wheel": wheel, "lowest": lowest}


def environment(directory: Path, *packages: str) -> Path:
    """The interpreter of a virtual environment with these packages."""
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
    run([python, "-m", "pip", "--quiet", "install", *packages])
    return python


def run(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None, *, is_checked: bool = True
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        check=is_checked,
        capture_output=True,
        text=True,
    )


if __name__ == "__main__":
    main()
