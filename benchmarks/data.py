"""Data sets that do not come with scikit-learn."""

from pathlib import Path

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
KIN8NM = _SHARED / "kin8nm.csv"
CONCRETE = _SHARED / "concrete.csv"
RED_WINE = _SHARED / "wine_quality_red.csv"
IMAGES = _SHARED / "images.py"
"""a program that draws images of 28 x 28"""
