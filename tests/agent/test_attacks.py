"""What strangers and bad members send to a running agent is refused, counted and logged, and changes nothing."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "break_agent"
PATIENCE_S = 400.0


def test_every_attack_is_survived_counted_and_logged_and_training_ends_with_the_same_result() -> None:
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--at-once", "--json"], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert run.returncode == 0, run.stdout + run.stderr
    rows = json.loads(run.stdout)
    assert len(rows) >= 15
    for row in rows:
        assert row["is_trained_to_the_end"], row
        assert row["n_counted"] > 0, row
        assert row["is_logged"], row
        assert row["difference"] <= 1e-12, row
