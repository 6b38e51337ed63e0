"""Everything that pip needs to install p2pnet on a machine without a network, in one directory.

    .venv/bin/python tools/wheelhouse.py OUT [--extras tables,onnx] [--python 3.12] [--platform manylinux_2_28_aarch64]

There: pip install --no-index --find-links OUT p2pnet
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--extras", default="", help="as in tables,onnx")
    parser.add_argument("--python", help="of the other machine, as in 3.12; default: that of this one")
    parser.add_argument(
        "--platform", action="append", default=[], help="of the other machine, a tag of wheels; may be repeated"
    )
    options = parser.parse_args()
    build(options.out, options.extras, options.python, options.platform)
    print(f"{len(list(options.out.glob('*.whl')))} wheels and SHA256SUMS in {options.out}")


def build(out: Path, extras: str, python: str | None, platforms: Sequence[str]) -> None:
    """Download wheels of all that p2pnet needs, build its own, and write their SHA-256."""
    out.mkdir(parents=True, exist_ok=True)
    for stale in (*out.glob("p2pnet-*.whl"), *out.glob("SHA256SUMS")):
        stale.unlink()
    pip("wheel", "--no-deps", "--wheel-dir", str(out), str(ROOT))
    (own,) = out.glob("p2pnet-*.whl")
    target = [f"--platform={platform}" for platform in platforms]
    target += [f"--python-version={python}"] if python else []
    required = f"{own}[{extras}]" if extras else str(own)
    # Only wheels: a machine without a network may have no compiler either.
    pip("download", "--only-binary=:all:", *target, "--dest", str(out), required)
    sums = [f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n" for wheel in sorted(out.glob("*.whl"))]
    (out / "SHA256SUMS").write_text("".join(sums))


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


if __name__ == "__main__":
    main()
