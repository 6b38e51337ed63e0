"""The studies of the method run, in their small forms."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_experiments_write_a_page_of_tables_and_figures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "studies.experiments", "--quick", "--output", str(tmp_path), "--workers", "1"]
    subprocess.run([*command, "partitions", "objectives", "graphs"], check=True, cwd=ROOT, timeout=300)
    page = (tmp_path / "experiments.md").read_text()
    for heading in ("## 3. Samples dealt", "## 4. Losses and penalties", "## 6. Graphs"):
        assert heading in page
    assert page.count("|---|") == 3
    for name in ("partitions", "graphs"):
        assert f"(figures/{name}.png)" in page
        assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 2_000


def test_the_matrix_prints_a_line_a_run() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "studies.matrix", "--quick", "--workers", "1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=300,
    )
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["data", "partition", "topology"]
    assert [line.split()[0] for line in lines[1:-1]] == ["iris", "iris", "diabetes"]
    assert lines[-1].startswith("0 of 3 did not come to rest")
