"""Data sets that do not come with scikit-learn."""

from pathlib import Path

KIN8NM = Path(__file__).resolve().parents[2] / "shared" / "data" / "kin8nm.csv"
