"""Handwritten digits as images of 28 × 28: a wider set than scikit-learn's own, made from it.

Each is one of its images of 8 × 8, enlarged by cubic splines, then turned, scaled, sheared and shifted at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from p2pnet.errors import ConfigError, DataError

NAME: Final = "images"
FORMS: Final = "images, images:ROWS or images:ROWS:SEED"
SIDE: Final = 28
DEFAULT_ROWS: Final = 10_000
MAX_ROWS: Final = 1_000_000
_CENTER: Final = (SIDE - 1) / 2


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Which images are drawn."""

    n_rows: int = DEFAULT_ROWS
    seed: int = 0


def is_images(text: str) -> bool:
    """Whether the text is meant as one of `FORMS`."""
    return text.partition(":")[0] == NAME


def parse_images(text: str) -> ImageSet:
    """Parse text in one of `FORMS`; ConfigError where it has none."""
    _, *numbers = text.split(":")
    if len(numbers) > 2 or not all(number.isdecimal() and len(number) <= 9 for number in numbers):
        raise ConfigError(f"--data {text}: must be {FORMS}, with whole numbers")
    images = ImageSet(*map(int, numbers))
    if not 50 <= images.n_rows <= MAX_ROWS:
        raise ConfigError(f"--data {text}: must have 50 to {MAX_ROWS:,} rows")
    return images


def draw_images(
    small: NDArray[np.float64], labels: NDArray[np.intp], images: ImageSet
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """(images (n_rows, 784) with values from 0 to 1 about, labels (n_rows,)) from digits (n, 64) with values 0 to 1."""
    try:
        from scipy.ndimage import affine_transform, zoom
    except ImportError as error:
        raise DataError("these images are made by SciPy, which is not installed: pip install scipy") from error
    rng = np.random.default_rng(images.seed)
    chosen = rng.integers(len(small), size=images.n_rows)
    large = {
        source: np.clip(zoom(np.pad(small[source].reshape(8, 8), 1), 2.8, order=3), 0.0, 1.0)
        for source in np.unique(chosen)
    }
    drawn = np.empty((images.n_rows, SIDE * SIDE), dtype=np.float32)
    for row, source in enumerate(chosen):
        angle, scale, shear = rng.uniform(-0.2, 0.2), rng.uniform(0.9, 1.15), rng.uniform(-0.15, 0.15)
        turned = scale * np.array([[np.cos(angle), shear - np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        center = np.full(2, _CENTER)
        shift = center - turned @ center + rng.uniform(-2.0, 2.0, 2)
        drawn[row] = affine_transform(large[source], turned, shift, order=1).ravel()
    return drawn, labels[chosen]
