"""What holds for the whole network: labels, and levels of categories, checked on the result that all agents have.

Labels and levels are one set of texts in the statistics stage. A level has the place of its column before it, among
those that are categories.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from p2pnet.catalogue.losses import LOSSES
from p2pnet.data.samples import Samples, in_order
from p2pnet.errors import DataError
from p2pnet.protocol.core.types import FeatureStatistics
from p2pnet.protocol.messages.training import LEVEL_MARK, MAX_BYTES_OF_LABELS, MAX_LABELS, TOO_MANY
from p2pnet.training.options import TrainingOptions

LEAST_ROWS: Final = 10
"""A level of fewer rows at an agent is not told to others: it may be that of one person."""


def own_levels(*parts: Samples) -> tuple[str, ...]:
    """What this agent tells of its categories' levels, from the rows of all parts together."""
    told = []
    for place, categories in enumerate(zip(*(part.categories for part in parts), strict=True)):
        counts: dict[str, int] = {}
        for category in categories:
            n_rows = np.bincount(category.codes[category.codes >= 0], minlength=len(category.levels))
            for level, n in zip(category.levels, n_rows.tolist(), strict=True):
                counts[level] = counts.get(level, 0) + n
        told += [f"{LEVEL_MARK}{place}{LEVEL_MARK}{level}" for level, n in counts.items() if n >= LEAST_ROWS]
    return tuple(told)


def labels_and_levels(texts: tuple[str, ...], samples: Samples) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """(labels, levels by the name of the column) that the texts of the statistics stage are."""
    names = [category.name for category in samples.categories]
    levels: dict[str, list[str]] = {name: [] for name in names}
    for text in texts:
        if text.startswith(LEVEL_MARK):
            place, _, level = text.removeprefix(LEVEL_MARK).partition(LEVEL_MARK)
            if place.isdecimal() and int(place) < len(names):
                levels[names[int(place)]].append(level)
    labels = in_order(text for text in texts if not text.startswith(LEVEL_MARK))
    return labels, {name: in_order(found) for name, found in levels.items()}


def check_network(options: TrainingOptions, samples: Samples, statistics: FeatureStatistics) -> None:
    """DataError, with the same words at all agents, where what they have together cannot be trained."""
    if statistics.labels == TOO_MANY:
        raise DataError(
            f"the network has more than {MAX_LABELS} labels and levels of categories, or {MAX_BYTES_OF_LABELS} bytes "
            f"of them ({_own_counts(samples)}); name labels in data.classes, take identifiers out of data.categorical, "
            "and predict numbers with data.task = regression"
        )
    labels, _ = labels_and_levels(statistics.labels, samples)
    if samples.task == "regression" or not labels:
        return
    if len(labels) == 1:
        raise DataError(
            f"column {samples.target_name!r}: has the one class {labels[0]!r} only, and so have all agents; nothing to "
            "learn"
        )
    loss = options.problem.loss
    if LOSSES[loss].has_one_output and len(labels) > 2:
        raise DataError(
            f"the network has the labels {', '.join(labels)}, and objective.loss = {loss} takes two; set "
            "objective.loss = softmax-cross-entropy at all agents, or leave out rows of the other labels"
        )


def _own_counts(samples: Samples) -> str:
    """How many this agent has, for people who look for the cause."""
    counts = [f"column {samples.target_name!r} has {len(samples.classes)} here"] if samples.classes else []
    counts += [f"column {category.name!r} has {len(category.levels)} here" for category in samples.categories]
    return ", ".join(counts) or "none of them here"
